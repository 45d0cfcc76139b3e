"""Who acts for whom, and which tokens show it: RFC 8693 sections 1.1, 2.1, 4.1 and 4.4."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from delegation_app.models import AuditEvent
from delegation_app.protocol import names
from delegation_app.services.tokens import local_verifier
from tests.attacks.test_jwt import Forger
from tests.support.answers import recorded, refusal_recorded, refused, refuses
from tests.support.chains import Chain, act_of, acting_with, handed_on, last_event, own_token
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, claims_of, delegation_of, make_app


@pytest.fixture
def tokens(story):
    return story.tokens()


@pytest.fixture
def token(tokens):
    return tokens["access_token"]


@pytest.mark.conformance("TX-24", "TX-25")
def test_actor_when_there_is_no_actor_token(story, token):
    with recorded("delegation.chained", "token.exchanged"):
        answer = handed_on(story, token)
    assert claims_of(answer["access_token"])["act"] == {
        "sub": "client:service-a", "client_id": "service-a"
    }  # fmt: skip


@pytest.mark.conformance("TX-24")
def test_actor_when_the_client_brings_its_own_token(story, world, token):
    actor = own_token(story, world.service_a_client)
    answer = handed_on(story, token, **acting_with(actor))
    claims = claims_of(answer["access_token"])
    assert claims["sub"] == f"user:{world.alice.pk}"
    assert claims["act"]["sub"] == claims_of(actor)["sub"] == "client:service-a"
    # It is the same to say it and to leave it out.
    assert delegation_of(handed_on(story, token)) == delegation_of(answer)
    assert story.is_active(actor, world.service_b_client)


@pytest.mark.conformance("TX-32", "RS-06")
def test_verifier_when_it_asks_who_acts(story):
    chain = Chain(story)
    verified = local_verifier.verify(chain.tokens[2], SERVICE_C)
    assert verified.client_id == "service-b"
    assert verified.subject == f"user:{story.world.alice.pk}"
    current, *history = verified.actors
    assert current["client_id"] == "service-b"
    assert [actor["client_id"] for actor in history] == ["service-a"]
    # A rule "the actor is service A" holds one hop before, and not here.
    assert local_verifier.verify(chain.tokens[1], SERVICE_B).actors[0]["client_id"] == "service-a"
    assert local_verifier.verify(chain.tokens[0], SERVICE_A).actors == ()


@pytest.mark.conformance("TX-29")
def test_actor_token_when_it_has_actors_itself(story, world, token):
    a = world.service_a_client
    plain = own_token(story, a, resource=SERVICE_B)
    nested = handed_on(story, plain, world.service_b_client, audience=SERVICE_A)["access_token"]
    # A has its own authority back, with B in its history.
    back = handed_on(story, nested, a, audience=SERVICE_B)
    assert act_of(back) == ["service-a", "service-b"]
    assert claims_of(back["access_token"])["sub"] == "client:service-a"
    assert act_of(handed_on(story, token, **acting_with(back["access_token"]))) == ["service-a"]


# may_act


@pytest.mark.conformance("TX-30", "TX-43", "IN-07")
def test_may_act_when_the_holders_policy_names_a_client(story, world):
    world.web.change(may_act="service-a")
    token = story.tokens()["access_token"]
    named = {"sub": "client:service-a", "client_id": "service-a"}
    assert claims_of(token)["may_act"] == named
    assert story.introspect(token).json()["may_act"] == named
    assert "act" not in claims_of(token)
    child = handed_on(story, token)
    # It is the rule of web, not of whoever holds the child.
    assert "may_act" not in claims_of(child["access_token"])
    assert act_of(handed_on(story, child["access_token"], world.service_b_client,
                            audience=SERVICE_C)) == ["service-b", "service-a"]  # fmt: skip


@pytest.mark.conformance("TX-30")
@pytest.mark.parametrize("with_actor", [False, True])
def test_may_act_when_it_names_another_client(story, world, with_actor):
    world.web.change(may_act="service-c")
    tokens = story.tokens()
    own = acting_with(own_token(story, world.service_a_client)) if with_actor else {}
    with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
        response = story.exchange(tokens["access_token"], audience=SERVICE_B, **own)
    refused(response, "invalid_request")


@pytest.mark.conformance("TX-30", "TX-33")
def test_may_act_when_it_names_who_is_not_in_the_audience(story, world):
    world.web.change(may_act="service-c")
    token = story.tokens()["access_token"]
    answer = handed_on(story, token, world.service_c_client, audience=SERVICE_A)
    assert act_of(answer) == ["service-c"]


@pytest.mark.conformance("TX-30")
def test_may_act_when_the_holder_only_narrows(story, world):
    grants = ["authorization_code", names.TOKEN_EXCHANGE]
    world.web.change(may_act="service-a", grants=grants)
    token = story.tokens()["access_token"]
    assert act_of(handed_on(story, token, world.web, audience=SERVICE_A)) == []


@pytest.mark.conformance("TX-31", "TX-33")
@pytest.mark.parametrize("name", ["service_b_client", "service_c_client"])
def test_client_when_nothing_entitles_it(story, world, tokens, name):
    app = world.apps[name]
    row = delegation_of(tokens)
    with refusal_recorded("invalid_request", delegation=row, client_id_value=app.client_id):
        refused(story.exchange(tokens["access_token"], app, audience=SERVICE_A), "invalid_request")


@pytest.mark.conformance("TX-33")
def test_client_when_it_speaks_for_the_audience_no_more(story, world, tokens):
    other = make_app("a-2", grants=[names.TOKEN_EXCHANGE], audiences=[world.service_b])
    refused(story.exchange(tokens["access_token"], other, audience=SERVICE_B), "invalid_request")
    world.service_a.introspectors.add(other.row)
    answer = handed_on(story, tokens["access_token"], other, audience=SERVICE_B)
    assert act_of(answer) == ["a-2"]
    world.service_a.introspectors.remove(other.row)
    refused(story.exchange(tokens["access_token"], other, audience=SERVICE_B), "invalid_request")


# Actor tokens that are not the client's own


@pytest.mark.conformance("TX-07")
def test_f7_actor_when_the_token_is_not_the_clients_own(story, world, tokens):
    world.cron.policy.audiences.add(world.service_b)
    chain = Chain(story)
    a, b = world.service_a_client, world.service_b_client
    spliced = {
        "a person's": story.tokens()["access_token"],
        "the subject itself": tokens["access_token"],
        "another client's, for its audience": own_token(story, world.cron, resource=SERVICE_A),
        "another client's": own_token(story, b),
        "a child of the same chain": chain.tokens[1],
        "a grandchild of another chain": chain.tokens[2],
        "its own exchange of a person's": handed_on(story, tokens["access_token"])["access_token"],
        "another's authority that it holds": handed_on(
            story, own_token(story, world.cron, resource=SERVICE_A), a, audience=SERVICE_B
        )["access_token"],
    }
    bodies = set()
    for actor in spliced.values():
        row = delegation_of(tokens)
        with refusal_recorded("invalid_request", delegation=row, client_id_value="service-a"):
            response = story.exchange(tokens["access_token"], **acting_with(actor))
        refused(response, "invalid_request")
        bodies.add(response.content)
    assert len(bodies) == 1


@pytest.mark.conformance("TX-30")
def test_actor_when_the_subjects_policy_names_it(story, world):
    world.web.change(may_act="cron")
    actor = own_token(story, world.cron, resource=SERVICE_A)
    token = story.tokens()["access_token"]
    answer = handed_on(story, token, **acting_with(actor))
    assert act_of(answer) == ["cron"]
    assert claims_of(answer["access_token"])["client_id"] == "service-a"
    # Only from where it was sent to
    elsewhere = make_app("b-2", grants=[names.TOKEN_EXCHANGE], audiences=[world.service_b])
    both = story.tokens(resource=[SERVICE_A, SERVICE_B])
    world.service_b.introspectors.add(elsewhere.row)
    with refusal_recorded("invalid_request", delegation=delegation_of(both)):
        response = story.exchange(
            both["access_token"], elsewhere, audience=SERVICE_B, **acting_with(actor)
        )
    refused(response, "invalid_request")
    # And not once the rule is another one.
    world.web.change(may_act="")
    refused(story.exchange(token, **acting_with(actor)), "invalid_request")


@pytest.mark.conformance("TX-07")
def test_actor_when_its_token_has_ended(story, world, tokens, clock):
    a = world.service_a_client
    a.change(access_token_lifetime=60)
    revoked, expired = own_token(story, a), own_token(story, a)
    story.revoke(revoked, a)
    clock.forward(seconds=60)
    for actor in (revoked, expired):
        with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
            refused(story.exchange(tokens["access_token"], **acting_with(actor)), "invalid_request")


# Impersonation


@pytest.mark.conformance("TX-25")
def test_f13_impersonation_when_the_policy_allows_it(story, world, token):
    world.service_a_client.change(may_impersonate=True)
    with recorded("delegation.chained", "token.impersonated"):
        answer = handed_on(story, token)
    claims = claims_of(answer["access_token"])
    assert "act" not in claims
    assert (claims["sub"], claims["client_id"]) == (f"user:{world.alice.pk}", "service-a")
    event = last_event(event="token.impersonated")
    assert (event.actor, event.jti) == ("client:service-a", claims["jti"])
    assert event.details["chain"][-1] == claims["delegation_id"]
    assert len(event.details["chain"]) == 2


@pytest.mark.conformance("TX-25", "TX-27")
def test_f13_impersonation_when_there_is_a_chain(story, world, token):
    world.service_b_client.change(may_impersonate=True)
    child = handed_on(story, token)
    answer = handed_on(story, child["access_token"], world.service_b_client, audience=SERVICE_C)
    assert act_of(answer) == ["service-a"]
    # It could not be hidden from the trail.
    assert AuditEvent.objects.get(event="token.impersonated").actor == "client:service-b"


@pytest.mark.conformance("TX-25", "TX-30")
def test_f13_impersonation_when_may_act_names_another(story, world):
    world.web.change(may_act="service-c")
    world.service_a_client.change(may_impersonate=True)
    refused(story.exchange(story.tokens()["access_token"]), "invalid_request")


# Which subject and actor tokens are taken: RFC 8693 section 2.1, and what a refusal tells
@pytest.mark.conformance("TX-06", "DG-07")
def test_f1_subject_when_expired(story, clock):
    tokens = story.tokens()
    clock.forward(seconds=599)
    assert handed_on(story, tokens["access_token"])["expires_in"] == 1
    # Not even within the skew that the clocks of other services are forgiven.
    for seconds in (1, 5, 3600):
        clock.forward(seconds=seconds)
        with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
            refused(story.exchange(tokens["access_token"]), "invalid_request")


@pytest.mark.conformance("TX-06")
def test_f1_subject_when_not_valid_yet(story, clock):
    clock.forward(seconds=60)
    token = story.tokens()["access_token"]
    clock.forward(seconds=-60)
    refuses("invalid_request", lambda: story.exchange(token))


@pytest.fixture
def forger(story):
    """Has the server's key, and a good token of cron's for service A."""
    return Forger(story)


def forged(forger):
    """Tokens that differ from a good one in one thing, and that thing."""
    good, (head, body, signature) = forger.good, forger.good.split(".")
    return {
        "signature cut": good[:-4],
        "signature of another": f"{head}.{body}.{signature[::-1]}",
        "no signature": f"{head}.{body}.",
        "alg none": forger.with_header(alg="none"),
        "alg HS256": forger.with_header(alg="HS256"),
        "kid of another": forger.with_header(kid="x"),
        "key in the header": forger.with_header(jwk={}),
        "foreign issuer": forger.with_claims(iss="https://evil.example.com"),
        "issuer with slash": forger.with_claims(iss="https://as.example.com/"),
        "unknown jti": forger.with_claims(jti="A" * 27),
        "jti with NUL": forger.with_claims(jti="A\x00"),
        "no jti": forger.with_claims(jti=None),
        "expired": forger.with_claims(exp=1),
        "not yet": forger.with_claims(nbf=9_999_999_999),
        "id token": forger.with_header(typ="JWT"),
        "no typ": forger.with_header(typ=""),
        "status list": forger.with_header(typ="statuslist+jwt"),
        "security event": forger.with_header(typ="secevent+jwt"),
        "introspection answer": forger.with_header(typ="token-introspection+jwt"),
    }


@pytest.mark.conformance("TX-06", "TX-07", "TX-08")
def test_f4_f10_token_when_forged_or_of_another_type(story, world, forger):
    texts = {**forged(forger), **foreign(forger)}
    subject = forger.good
    assert handed_on(story, forger.token())["scope"] == "read:metrics write:alerts"
    for name, text in texts.items():
        for declared in (names.ACCESS_TOKEN, names.JWT):
            with refusal_recorded("invalid_request"):
                response = story.exchange(text, subject_token_type=declared)
            refused(response, "invalid_request")
            assert response.json()["error_description"] == "The subject token is not valid.", name
        with refusal_recorded("invalid_request"):
            response = story.exchange(subject, **acting_with(text))
        refused(response, "invalid_request")
        assert response.json()["error_description"] == "The actor token is not valid.", name


def foreign(forger):
    key = ec.generate_private_key(ec.SECP256R1())
    return {"foreign key under our kid": forger.token(key=key)}


@pytest.mark.conformance("TX-08")
def test_f10_subject_when_declared_as_what_it_is_not(story, world):
    world.service_a_client.change(
        grants=[names.TOKEN_EXCHANGE, names.REFRESH_TOKEN],
        may_exchange_refresh_tokens=True,
        may_refresh_exchanged_tokens=True,
    )
    tokens, code = story.tokens(), story.code()
    child = handed_on(story, tokens["access_token"])
    wrong = [
        (code, names.ACCESS_TOKEN),
        (code, names.REFRESH_TOKEN_TYPE),
        (child["refresh_token"], names.ACCESS_TOKEN),
        (child["refresh_token"], names.JWT),
        (child["access_token"], names.REFRESH_TOKEN_TYPE),
        (tokens["access_token"], names.REFRESH_TOKEN_TYPE),
        (world.service_a_client.secret, names.ACCESS_TOKEN),
    ]
    bodies = set()
    for text, declared in wrong:
        with refusal_recorded("invalid_request"):
            response = story.exchange(text, subject_token_type=declared)
        refused(response, "invalid_request")
        bodies.add(response.content)
    assert len(bodies) == 1
    assert story.redeem(code).status_code == 200


@pytest.mark.conformance("TX-40")
def test_refresh_token_when_the_policy_allows_it(story, world):
    web = world.web
    web.change(grants=["authorization_code", "refresh_token", names.TOKEN_EXCHANGE])
    tokens = story.tokens()
    form = {"subject_token_type": names.REFRESH_TOKEN_TYPE, "audience": SERVICE_A}
    with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
        refused(story.exchange(tokens["refresh_token"], web, **form), "invalid_request")
    web.change(may_exchange_refresh_tokens=True)
    for _ in range(2):
        answer = handed_on(story, tokens["refresh_token"], web, scope="read:metrics", **form)
        assert (answer["scope"], act_of(answer)) == ("read:metrics", [])
        assert "refresh_token" not in answer
    assert delegation_of(answer).parent == delegation_of(tokens)
    # A refresh token may go no further than its own delegation either.
    far = {**form, "audience": SERVICE_B}
    refused(story.exchange(tokens["refresh_token"], web, **far), "invalid_target")
    used = tokens["refresh_token"]
    assert story.refresh(used).status_code == 200
    with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
        refused(story.exchange(used, web, **form), "invalid_request")


@pytest.mark.conformance("TX-40")
def test_refresh_token_when_expired_or_its_delegation_ended(story, world, clock):
    web = world.web
    web.change(
        grants=["authorization_code", "refresh_token", names.TOKEN_EXCHANGE],
        may_exchange_refresh_tokens=True,
        refresh_token_lifetime=3600,
    )
    form = {"subject_token_type": names.REFRESH_TOKEN_TYPE, "audience": SERVICE_A}
    old, ended = story.tokens(), story.tokens(prompt="consent")
    story.revoke(ended["refresh_token"])
    clock.forward(seconds=3600)
    for tokens in (old, ended):
        with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
            refused(story.exchange(tokens["refresh_token"], web, **form), "invalid_request")
