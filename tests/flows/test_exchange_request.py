"""The exchange request, its targets and its answer: RFC 8693 sections 2.1 and 2.2, RFC 8707."""

import json

import pytest
from django.core.exceptions import ValidationError

from delegation_app.models import ResourceServer
from delegation_app.protocol import names
from tests.support.answers import (
    never_stored,
    nothing_stored,
    recorded,
    refusal_recorded,
    refused,
    refuses,
)
from tests.support.chains import act_of, acting_with, handed_on, own_token
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, claims_of, delegation_of

GRANT = names.TOKEN_EXCHANGE


@pytest.fixture
def token(story):
    """Web's token for alice at service A, whose client may exchange it."""
    return story.tokens()["access_token"]


@pytest.mark.conformance("TX-01", "TX-11", "TX-12", "TX-15", "TX-34")
def test_exchange_when_all_is_well(story, world, token):
    with recorded("delegation.chained", "token.exchanged"):
        response = story.exchange(token)
    assert response.status_code == 200
    never_stored(response)
    answer = response.json()
    assert answer.keys() == {
        "access_token", "issued_token_type", "token_type", "expires_in", "scope"
    }  # fmt: skip
    assert answer["issued_token_type"] == names.ACCESS_TOKEN
    assert answer["token_type"] == "Bearer"
    assert answer["scope"] == "read:metrics write:alerts"
    assert 0 < answer["expires_in"] <= 600
    assert story.is_active(answer["access_token"], world.service_b_client)
    # What was presented is as good as before.
    assert story.is_active(token)


@pytest.mark.conformance("TX-01", "TX-44")
def test_alias_when_the_grant_is_an_exchange(clock, story, token):
    metadata = story.wire.get("/.well-known/oauth-authorization-server").json()
    assert GRANT in metadata["grant_types_supported"]
    assert metadata["token_endpoint"].endswith("/oauth/token")
    form = {
        "grant_type": GRANT,
        "subject_token": token,
        "subject_token_type": names.ACCESS_TOKEN,
        "audience": SERVICE_B,
    }
    app = story.world.service_a_client
    answers = [story.post(path, form, app).json() for path in ("/oauth/token", "/oauth/exchange")]
    one, other = (claims_of(answer.pop("access_token")) for answer in answers)
    assert answers[0] == answers[1]
    assert one.keys() == other.keys()
    for name in one.keys() - {"jti", "iat", "nbf", "exp", "status"}:
        assert one[name] == other[name], name


@pytest.mark.conformance("TX-01")
@pytest.mark.parametrize("grant", ["client_credentials", "refresh_token", "x", names.DEVICE_CODE])
def test_alias_when_the_grant_is_another(story, world, grant):
    with refusal_recorded("unsupported_grant_type"):
        response = story.post("/oauth/exchange", {"grant_type": grant}, world.service_a_client)
    refused(response, "unsupported_grant_type")


@pytest.mark.conformance("TX-02", "TX-03", "TX-04")
@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize(
    "missing", ["subject_token", "subject_token_type", "actor_token", "actor_token_type"]
)
def test_parameter_when_missing(story, world, token, missing, empty):
    actor = own_token(story, world.service_a_client)
    form = {"grant_type": GRANT, "audience": SERVICE_B, **acting_with(actor)}
    form |= {"subject_token": token, "subject_token_type": names.ACCESS_TOKEN, missing: empty}
    with refusal_recorded("invalid_request", client_id_value="service-a"):
        response = story.token(world.service_a_client, **form)
    refused(response, "invalid_request")


@pytest.mark.conformance("TX-05", "TX-14", "TX-16")
@pytest.mark.parametrize("name", ["subject_token_type", "actor_token_type", "requested_token_type"])
@pytest.mark.parametrize(
    "kind",
    [
        "urn:x", "access_token", "urn:ietf:params:oauth:token-type:id_token",
        "urn:ietf:params:oauth:token-type:saml2", names.REFRESH_TOKEN_TYPE,
        names.ACCESS_TOKEN.upper(),
        f"{names.ACCESS_TOKEN} ", f"{names.ACCESS_TOKEN} {names.JWT}",
    ],
)  # fmt: skip
def test_type_when_not_supported(story, world, token, name, kind):
    actor = own_token(story, world.service_a_client)
    with refusal_recorded("invalid_request"):
        response = story.exchange(token, audience=SERVICE_B, **{**acting_with(actor), name: kind})
    refused(response, "invalid_request")


@pytest.mark.conformance("TX-09")
@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"client_id": "service-a"},
        {"client_id": "service-a", "client_secret": "wrong"},
        {"client_id": "nobody", "client_secret": "wrong"},
    ],
)
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/exchange"])
def test_client_when_not_authenticated(story, token, credentials, path):
    form = {"grant_type": GRANT, "subject_token": token, "subject_token_type": names.ACCESS_TOKEN}
    with refusal_recorded("invalid_client"):
        response = story.post(path, {**form, "audience": SERVICE_B, **credentials})
    refused(response, "invalid_client", 401)


@pytest.mark.conformance("TX-09")
def test_client_when_public(story, world):
    world.mobile.change(grants=["authorization_code", GRANT])
    mine = story.tokens(world.mobile)["access_token"]
    refuses("unauthorized_client", lambda: story.exchange(mine, world.mobile, audience=SERVICE_A))


@pytest.mark.conformance("TX-10")
def test_client_when_its_policy_has_not_the_grant(story, world, token):
    with refusal_recorded("unauthorized_client", client_id_value="web"):
        refused(story.exchange(token, world.web, audience=SERVICE_A), "unauthorized_client")
    world.service_a_client.change(grants=["client_credentials"])
    refuses("unauthorized_client", lambda: story.exchange(token))


@pytest.mark.conformance("TX-14", "TX-16")
@pytest.mark.parametrize(
    ("requested", "issued"),
    [
        (None, names.ACCESS_TOKEN),
        ("", names.ACCESS_TOKEN),
        (names.ACCESS_TOKEN, names.ACCESS_TOKEN),
        (names.JWT, names.JWT),
    ],
)
def test_requested_type_when_it_can_be_issued(story, token, requested, issued):
    answer = handed_on(story, token, requested_token_type=requested)
    assert answer["issued_token_type"] == issued
    # Whatever is issued can be used as an access token, so N_A is never said.
    assert answer["token_type"] == "Bearer"


@pytest.mark.conformance("TX-16")
def test_requested_type_when_the_target_wants_opaque_tokens(story, world, token):
    world.service_b.token_format = "opaque"
    world.service_b.save()
    with refusal_recorded("invalid_request", delegation=delegation_of({"access_token": token})):
        refused(story.exchange(token, requested_token_type=names.JWT), "invalid_request")
    answer = handed_on(story, token)
    assert answer["issued_token_type"] == names.ACCESS_TOKEN
    assert answer["access_token"].count(".") == 0
    told = story.introspect(answer["access_token"], world.service_b_client).json()
    assert told["act"] == {"sub": "client:service-a", "client_id": "service-a"}
    # And it can be exchanged in turn, though not as what it is not.
    again = {"audience": SERVICE_A}
    response = story.exchange(
        answer["access_token"], world.service_b_client, subject_token_type=names.JWT, **again
    )
    refused(response, "invalid_request")
    second = handed_on(story, answer["access_token"], world.service_b_client, **again)
    assert act_of(second) == ["service-b", "service-a"]


@pytest.mark.conformance("TX-42", "TX-24", "TX-28", "TX-46")
def test_claims_when_exchanged(story, token):
    before, after = claims_of(token), claims_of(handed_on(story, token)["access_token"])
    assert after["iss"] == before["iss"] == "https://as.example.com"
    assert after["sub"] == before["sub"]
    assert after["client_id"] == "service-a"
    assert after["aud"] == SERVICE_B
    assert after["jti"] != before["jti"]
    assert after["delegation_id"] != before["delegation_id"]
    assert (after["auth_time"], after["acr"]) == (before["auth_time"], before["acr"])
    assert after["act"] == {"sub": "client:service-a", "client_id": "service-a"}
    assert "may_act" not in after
    # RFC 8693 section 6: nothing of the token that was presented is in it
    text = json.dumps(after)
    assert not any(part in text for part in token.split("."))
    assert before["jti"] not in text


@pytest.mark.parametrize(
    "extra",
    [
        {"act": '{"sub":"client:other"}', "may_act": '{"sub":"client:service-a"}'},
        {"delegation_id": "00000000-0000-4000-8000-000000000000", "parent": "1", "sub": "user:1"},
        {"client_id_of_actor": "other", "exp": "9999999999", "lifetime": "1", "depth": "0"},
    ],
)
def test_f7_undeclared_parameters_when_sent(story, token, extra):
    plain, with_extra = handed_on(story, token), handed_on(story, token, **extra)
    assert delegation_of(plain) == delegation_of(with_extra)
    assert act_of(with_extra) == ["service-a"]
    one, other = (claims_of(answer["access_token"]) for answer in (plain, with_extra))
    own = {"jti", "iat", "nbf", "exp", "status"}
    assert {n: one[n] for n in one.keys() - own} == {n: other[n] for n in other.keys() - own}


# Where an exchange may lead and with how much: RFC 8693 section 2.1, RFC 8707
@pytest.fixture
def tokens(story):
    return story.tokens()


@pytest.fixture
def token_of_exchange_targets(tokens):
    return tokens["access_token"]


@pytest.fixture
def wide(world):
    """Service A's client may go to B and C."""
    world.service_a_client.policy.audiences.add(world.service_c)
    return world.service_a_client


@pytest.mark.conformance("TX-17", "RI-01")
@pytest.mark.parametrize(
    "resource",
    ["/api", "service-b.example.com", f"{SERVICE_B}#f", f"{SERVICE_B}#", "//x/y", "", " ", "é:x"],
)
def test_resource_when_no_absolute_uri_or_with_fragment(story, tokens, resource):
    with refusal_recorded("invalid_target", delegation=delegation_of(tokens)):
        response = story.exchange(tokens["access_token"], resource=[SERVICE_B, resource or "a b"])
    refused(response, "invalid_target")


@pytest.mark.conformance("TX-17", "RI-09")
def test_resource_when_it_has_a_query_or_path(story, world, token_of_exchange_targets):
    for tail in ("?tenant=1", "/t1", "/"):
        server = ResourceServer.objects.create(
            identifier=SERVICE_B + tail, name=f"B{tail}", scopes="read:metrics"
        )
        refused(
            story.exchange(token_of_exchange_targets, resource=server.identifier), "invalid_target"
        )
        world.service_a_client.policy.audiences.add(server)
        answer = handed_on(
            story, token_of_exchange_targets, resource=server.identifier, audience=None
        )
        assert claims_of(answer["access_token"])["aud"] == server.identifier
        assert not story.is_active(answer["access_token"], world.service_b_client)


@pytest.mark.conformance("TX-18", "RI-02", "RI-04")
@pytest.mark.parametrize(
    ("targets", "audience"),
    [
        ({"resource": [SERVICE_B, SERVICE_C]}, [SERVICE_B, SERVICE_C]),
        ({"audience": ["Service B", SERVICE_C]}, [SERVICE_B, SERVICE_C]),
        ({"audience": "Service C", "resource": SERVICE_B}, [SERVICE_B, SERVICE_C]),
        ({"audience": [SERVICE_B, "Service B"], "resource": [SERVICE_B] * 2}, SERVICE_B),
        ({"audience": "Service C"}, SERVICE_C),
    ],
)
def test_targets_when_repeated_and_mixed(story, wide, token_of_exchange_targets, targets, audience):
    answer = handed_on(story, token_of_exchange_targets, wide, **targets)
    assert claims_of(answer["access_token"])["aud"] == audience


@pytest.mark.conformance("TX-18", "TX-19", "TX-21", "RI-03")
@pytest.mark.parametrize(
    "targets",
    [
        {"audience": "https://unknown.example.com"},
        {"audience": "Service X"},
        {"audience": "service b"},
        {"audience": SERVICE_C},
        {"audience": "Service C"},
        {"resource": SERVICE_C},
        # Its own audience, and that of the subject token_of_exchange_targets, is no exception
        {"audience": SERVICE_A},
        {"audience": [SERVICE_B, SERVICE_C]},
        {"audience": SERVICE_B, "resource": SERVICE_C},
        {"audience": "service-b"},
        {"audience": "é" * 3000},
    ],
)
def test_target_when_the_policy_does_not_list_it(story, tokens, targets):
    with refusal_recorded("invalid_target", delegation=delegation_of(tokens)):
        refused(story.exchange(tokens["access_token"], **targets), "invalid_target")


def test_targets_when_there_are_very_many(story, tokens):
    many = [f"https://{number}.example.com" for number in range(80)]
    refuses("invalid_target", lambda: story.exchange(tokens["access_token"], audience=many))
    with nothing_stored(), recorded():
        response = story.exchange(tokens["access_token"], audience=[SERVICE_B] * 200)
    refused(response, "invalid_request")


@pytest.mark.conformance("RI-08")
def test_target_when_left_out(story, wide, world, tokens):
    token_of_exchange_targets = tokens["access_token"]
    with refusal_recorded("invalid_target", delegation=delegation_of(tokens)):
        refused(story.exchange(token_of_exchange_targets, wide), "invalid_target")
    wide.change(default_audience=world.service_c)
    assert (
        claims_of(handed_on(story, token_of_exchange_targets, wide, scope=None)["access_token"])[
            "aud"
        ]
        == SERVICE_C
    )


@pytest.mark.conformance("TX-22")
@pytest.mark.parametrize(
    "scope",
    [
        "read:profile", "read:metrics read:profile", "delete:alerts", "unknown", "read:metrics x",
        "é", 'read:metrics "', "read:metrics\ttab", " ", "read\\x",
    ],
)  # fmt: skip
def test_scope_when_more_than_the_subject_token_has(story, tokens, scope):
    with refusal_recorded("invalid_scope", delegation=delegation_of(tokens)):
        refused(story.exchange(tokens["access_token"], scope=scope), "invalid_scope")


@pytest.mark.conformance("TX-22")
def test_scope_when_more_than_the_client_may_have(story, world, tokens):
    world.service_a_client.change(scopes="read:metrics")
    with refusal_recorded("invalid_scope", delegation=delegation_of(tokens)):
        response = story.exchange(tokens["access_token"], scope="read:metrics write:alerts")
    refused(response, "invalid_scope")
    assert handed_on(story, tokens["access_token"])["scope"] == "read:metrics"


@pytest.mark.conformance("TX-22")
def test_scope_when_the_subject_token_was_narrowed(story, tokens):
    narrow = story.refresh(tokens["refresh_token"], scope="read:metrics").json()
    with refusal_recorded("invalid_scope", delegation=delegation_of(tokens)):
        refused(story.exchange(narrow["access_token"], scope="write:alerts"), "invalid_scope")
    assert handed_on(story, narrow["access_token"])["scope"] == "read:metrics"


@pytest.mark.conformance("TX-20", "RI-07", "BC-02")
@pytest.mark.parametrize("asked", [None, "read:metrics write:alerts"])
def test_scope_when_there_are_several_targets(story, world, wide, token_of_exchange_targets, asked):
    world.service_c.scopes = "write:alerts delete:alerts"
    world.service_c.save()
    answer = handed_on(
        story, token_of_exchange_targets, wide, audience=[SERVICE_B, SERVICE_C], scope=asked
    )
    assert answer["scope"] == "write:alerts"
    assert handed_on(story, token_of_exchange_targets, wide, scope=asked, audience=SERVICE_B)[
        "scope"
    ] == ("read:metrics write:alerts")


@pytest.mark.conformance("RI-05", "RI-06", "RI-04")
def test_resource_when_a_part_was_granted(story):
    both = {"resource": [SERVICE_A, SERVICE_B]}
    refused(story.redeem(story.code(**both), resource=SERVICE_C), "invalid_target")
    answer = story.redeem(story.code(**both), resource=SERVICE_A).json()
    assert claims_of(answer["access_token"])["aud"] == SERVICE_A
    refused(story.refresh(answer["refresh_token"], resource=SERVICE_C), "invalid_target")
    second = story.refresh(answer["refresh_token"], resource=SERVICE_B).json()
    assert claims_of(second["access_token"])["aud"] == SERVICE_B


@pytest.mark.conformance("RI-01", "RI-03")
@pytest.mark.parametrize("resource", ["/api", f"{SERVICE_A}#f", "https://unknown.example.com"])
def test_resource_when_bad(story, world, tokens, resource):
    page = story.authorize(resource=resource)
    assert page.status_code == 303
    assert "error=invalid_target" in page["Location"]
    for response in (
        story.redeem(story.code(), resource=resource),
        story.refresh(tokens["refresh_token"], resource=resource),
        story.client_credentials(resource=resource),
        story.exchange(tokens["access_token"], resource=resource),
    ):
        refused(response, "invalid_target")


# A client that exchanges its own token_of_exchange_targets


@pytest.fixture
def narrower(world):
    """Web may exchange, and go to A, B and C."""
    world.web.change(grants=["authorization_code", "refresh_token", names.TOKEN_EXCHANGE])
    world.web.policy.audiences.add(world.service_c)
    return world.web


@pytest.mark.conformance("TX-48", "TX-27")
def test_self_exchange_when_it_narrows(story, narrower):
    token_of_exchange_targets = story.tokens(resource=[SERVICE_A, SERVICE_B])["access_token"]
    answer = handed_on(
        story, token_of_exchange_targets, narrower, audience=SERVICE_B, scope="read:metrics"
    )
    claims = claims_of(answer["access_token"])
    assert (claims["aud"], claims["scope"], claims["client_id"]) == (
        SERVICE_B, "read:metrics", "web"
    )  # fmt: skip
    assert "act" not in claims
    assert delegation_of(answer).parent == delegation_of(
        {"access_token": token_of_exchange_targets}
    )


@pytest.mark.conformance("TX-48", "TX-21")
def test_self_exchange_when_it_would_reach_further(story, narrower):
    tokens = story.tokens(resource=SERVICE_A)
    for audience in (SERVICE_C, SERVICE_B, [SERVICE_A, SERVICE_B]):
        with refusal_recorded("invalid_target", delegation=delegation_of(tokens)):
            response = story.exchange(tokens["access_token"], narrower, audience=audience)
        refused(response, "invalid_target")


@pytest.mark.conformance("TX-48", "TX-27")
def test_self_exchange_when_the_token_has_a_chain(story, world, token_of_exchange_targets):
    child = handed_on(story, token_of_exchange_targets)
    own = handed_on(story, child["access_token"], scope="read:metrics")
    before, after = (claims_of(answer["access_token"]) for answer in (child, own))
    assert after["act"] == before["act"] == {"sub": "client:service-a", "client_id": "service-a"}
    # With an actor token_of_exchange_targets, too, it is the same client that acts.
    actor = own_token(story, world.service_a_client)
    again = handed_on(
        story, child["access_token"], actor_token=actor, actor_token_type=names.ACCESS_TOKEN
    )
    assert claims_of(again["access_token"])["act"] == before["act"]


@pytest.mark.conformance("TX-47")
def test_audience_name_when_it_is_taken(story, world):
    duplicate = ResourceServer(identifier="https://x.example.com", name="Service B")
    assert "name" in errors_of(duplicate)
    assert "identifier" in errors_of(ResourceServer(identifier=SERVICE_B, name="Another"))


def errors_of(row):
    try:
        row.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}
