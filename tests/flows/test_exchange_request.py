"""The exchange request and its answer: RFC 8693 sections 2.1 and 2.2."""

import json

import pytest

from delegation_app.protocol import names
from tests.support.answers import never_stored, nothing_stored, recorded, refusal_recorded, refused
from tests.support.chains import act_of, acting_with, handed_on, own_token
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of

GRANT = names.TOKEN_EXCHANGE


@pytest.fixture
def token(story):
    """Web's token for alice at service A, whose client may exchange it."""
    return story.tokens()["access_token"]


@pytest.mark.conformance("TX-01", "TX-11", "TX-12", "TX-15", "TX-34")
def test_exchange_when_all_is_well_then_the_answer_has_every_member(story, world, token):
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
def test_alias_when_the_grant_is_an_exchange_then_it_answers_as_the_token_endpoint(
    clock, story, token
):
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
def test_alias_when_the_grant_is_another_then_unsupported_grant_type(story, world, grant):
    with refusal_recorded("unsupported_grant_type"):
        response = story.post("/oauth/exchange", {"grant_type": grant}, world.service_a_client)
    refused(response, "unsupported_grant_type")


@pytest.mark.conformance("TX-02", "TX-03", "TX-04")
@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize(
    "missing", ["subject_token", "subject_token_type", "actor_token", "actor_token_type"]
)
def test_parameter_when_missing_then_invalid_request(story, world, token, missing, empty):
    actor = own_token(story, world.service_a_client)
    form = {"grant_type": GRANT, "audience": SERVICE_B, **acting_with(actor)}
    form |= {"subject_token": token, "subject_token_type": names.ACCESS_TOKEN, missing: empty}
    with refusal_recorded("invalid_request", client_id_value="service-a"):
        response = story.token(world.service_a_client, **form)
    refused(response, "invalid_request")


@pytest.mark.conformance("TX-05")
@pytest.mark.parametrize("name", ["subject_token_type", "actor_token_type", "requested_token_type"])
@pytest.mark.parametrize(
    "kind",
    [
        "urn:x",
        "access_token",
        "urn:ietf:params:oauth:token-type:id_token",
        "urn:ietf:params:oauth:token-type:saml2",
        names.ACCESS_TOKEN.upper(),
        f"{names.ACCESS_TOKEN} ",
        f"{names.ACCESS_TOKEN} {names.JWT}",
    ],
)
def test_type_when_not_supported_then_invalid_request(story, world, token, name, kind):
    actor = own_token(story, world.service_a_client)
    with refusal_recorded("invalid_request"):
        response = story.exchange(token, audience=SERVICE_B, **{**acting_with(actor), name: kind})
    refused(response, "invalid_request")


@pytest.mark.conformance("TX-05")
def test_actor_type_when_it_names_a_refresh_token_then_invalid_request(story, world, token):
    refresh = story.tokens()["refresh_token"]
    with refusal_recorded("invalid_request"):
        response = story.exchange(
            token, actor_token=refresh, actor_token_type=names.REFRESH_TOKEN_TYPE
        )
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
def test_client_when_not_authenticated_then_invalid_client(story, token, credentials, path):
    form = {"grant_type": GRANT, "subject_token": token, "subject_token_type": names.ACCESS_TOKEN}
    with refusal_recorded("invalid_client"):
        response = story.post(path, {**form, "audience": SERVICE_B, **credentials})
    refused(response, "invalid_client", 401)


@pytest.mark.conformance("TX-09")
def test_client_when_public_then_unauthorized_client(story, world):
    world.mobile.change(grants=["authorization_code", GRANT])
    mine = story.tokens(world.mobile)["access_token"]
    with refusal_recorded("unauthorized_client"):
        refused(story.exchange(mine, world.mobile, audience=SERVICE_A), "unauthorized_client")


@pytest.mark.conformance("TX-10")
def test_client_when_its_policy_has_not_the_grant_then_unauthorized_client(story, world, token):
    with refusal_recorded("unauthorized_client", client_id_value="web"):
        refused(story.exchange(token, world.web, audience=SERVICE_A), "unauthorized_client")
    world.service_a_client.change(grants=["client_credentials"])
    with refusal_recorded("unauthorized_client"):
        refused(story.exchange(token), "unauthorized_client")


@pytest.mark.conformance("TX-13")
def test_scope_when_less_is_issued_then_the_answer_says_what(story, world):
    token = story.tokens(scope="read:metrics read:profile")["access_token"]
    # Service B does not know read:profile.
    asked = handed_on(story, token, scope="read:profile read:metrics")
    omitted = handed_on(story, token)
    assert asked["scope"] == omitted["scope"] == "read:metrics"
    assert claims_of(asked["access_token"])["scope"] == "read:metrics"


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
def test_requested_type_when_it_can_be_issued_then_the_answer_names_it(
    story, token, requested, issued
):
    answer = handed_on(story, token, requested_token_type=requested)
    assert answer["issued_token_type"] == issued
    # Whatever is issued can be used as an access token, so N_A is never said.
    assert answer["token_type"] == "Bearer"


@pytest.mark.conformance("TX-14", "TX-16")
def test_requested_type_when_it_is_no_access_token_then_invalid_request(story, token):
    with refusal_recorded("invalid_request"):
        response = story.exchange(token, requested_token_type=names.REFRESH_TOKEN_TYPE)
    refused(response, "invalid_request")


@pytest.mark.conformance("TX-16")
def test_requested_type_when_the_target_wants_opaque_tokens_then_no_jwt_is_promised(
    story, world, token
):
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
def test_claims_when_exchanged_then_they_tell_of_the_person_and_the_exchanging_client(story, token):
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
def test_f7_undeclared_parameters_when_sent_then_they_change_nothing(story, token, extra):
    plain, with_extra = handed_on(story, token), handed_on(story, token, **extra)
    assert delegation_of(plain) == delegation_of(with_extra)
    assert act_of(with_extra) == ["service-a"]
    one, other = (claims_of(answer["access_token"]) for answer in (plain, with_extra))
    own = {"jti", "iat", "nbf", "exp", "status"}
    assert {n: one[n] for n in one.keys() - own} == {n: other[n] for n in other.keys() - own}


@pytest.mark.parametrize(
    "name", ["subject_token_type", "scope", "requested_token_type", "constraints"]
)
def test_parameter_when_repeated_then_invalid_request(story, token, name):
    # What cannot be read unambiguously is not even recorded.
    with nothing_stored(), recorded():
        refused(story.exchange(token, **{name: ["a", "a"]}), "invalid_request")


@pytest.mark.parametrize("extra", [{"authorization_details": "[]"}])
def test_unsupported_parameter_when_it_would_change_the_meaning_then_it_is_not_ignored(
    story, token, extra
):
    with refusal_recorded("invalid_request"):
        refused(story.exchange(token, **extra), "invalid_request")


def test_dpop_when_a_proof_is_sent_then_it_is_not_ignored(story, world, token):
    form = {"grant_type": GRANT, "subject_token": token, "subject_token_type": names.ACCESS_TOKEN}
    for path in ("/oauth/token", "/oauth/exchange"):
        with nothing_stored():
            response = story.post(path, form, world.service_a_client, HTTP_DPOP="a.b.c")
        refused(response, "invalid_request")


def test_method_when_not_post_then_405(story, world, token):
    with nothing_stored():
        for path in ("/oauth/token", "/oauth/exchange"):
            for method in (story.wire.get, story.wire.put, story.wire.delete, story.wire.patch):
                response = method(path, HTTP_AUTHORIZATION=world.service_a_client.basic())
                refused(response, "invalid_request", 405)
