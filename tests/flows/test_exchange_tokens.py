"""Which subject and actor tokens are taken: RFC 8693 section 2.1, and what a refusal tells."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from delegation_app.models import AuditEvent
from delegation_app.protocol import names
from delegation_app.services.audit import RequestContext
from delegation_app.services.consent import approval
from delegation_app.services.delegations import revocation
from tests.attacks.test_jwt import Forger
from tests.support.answers import refusal_recorded, refused
from tests.support.chains import act_of, acting_with, handed_on, last_event, own_token
from tests.support.world import SERVICE_A, SERVICE_B, delegation_of

OPERATOR = RequestContext("user:7")


def end_delegation(story, tokens):
    revocation.subtree(delegation_of(tokens), OPERATOR, reason="operator")


def end_token(story, tokens):
    story.revoke(tokens["access_token"])


def deactivate(story, _tokens):
    story.world.alice.is_active = False
    story.world.alice.save()


BAD = {
    "delegation revoked": end_delegation,
    "token revoked": end_token,
    "refresh token revoked": lambda story, tokens: story.revoke(tokens["refresh_token"]),
    "person inactive": deactivate,
    "person deleted": lambda story, _: story.world.alice.delete(),
    "holder disabled": lambda story, _: story.world.web.change(enabled=False),
    "holder deleted": lambda story, _: story.world.web.row.delete(),
    "consent withdrawn": lambda story, tokens: approval.withdraw(
        delegation_of(tokens).consent, OPERATOR, reason="withdrawn"
    ),
    "holder without scopes": lambda story, _: story.world.web.change(scopes=""),
    "holder without audiences": lambda story, _: story.world.web.policy.audiences.clear(),
    "service inactive": lambda story, _: type(story.world.service_a).objects.update(active=False),
    "service deleted": lambda story, _: story.world.service_a.delete(),
    "client no longer the service": lambda s, _: s.world.service_a.introspectors.clear(),
}


@pytest.mark.conformance("TX-06", "DG-04", "DG-08")
@pytest.mark.parametrize("name", BAD)
def test_f1_subject_when_it_is_not_good_any_more_then_invalid_request(story, name):
    tokens = story.tokens()
    handed_on(story, tokens["access_token"])
    row = delegation_of(tokens)
    BAD[name](story, tokens)
    with refusal_recorded("invalid_request", delegation=row, client_id_value="service-a"):
        response = story.exchange(tokens["access_token"])
    refused(response, "invalid_request")
    assert response.json()["error_description"] == "The subject token is not valid."


@pytest.mark.conformance("TX-06", "DG-07")
def test_f1_subject_when_expired_then_invalid_request(story, clock):
    tokens = story.tokens()
    clock.forward(seconds=599)
    assert handed_on(story, tokens["access_token"])["expires_in"] == 1
    # Not even within the skew that the clocks of other services are forgiven.
    for seconds in (1, 5, 3600):
        clock.forward(seconds=seconds)
        with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
            refused(story.exchange(tokens["access_token"]), "invalid_request")


@pytest.mark.conformance("TX-06")
def test_f1_subject_when_not_valid_yet_then_invalid_request(story, clock):
    clock.forward(seconds=60)
    token = story.tokens()["access_token"]
    clock.forward(seconds=-60)
    with refusal_recorded("invalid_request"):
        refused(story.exchange(token), "invalid_request")


@pytest.mark.conformance("TX-06", "TX-07")
@pytest.mark.parametrize(
    "text",
    ["x", "a.b.c", "a" * 43, "a" * 54, "{}", "é", "a" * 60_000, "..", " ", "Bearer x", "' OR 1=1"],
)
def test_token_when_garbage_then_invalid_request(story, world, text):
    with refusal_recorded("invalid_request", delegation=None):
        refused(story.exchange(text), "invalid_request")
    tokens = story.tokens()
    with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
        response = story.exchange(tokens["access_token"], **acting_with(text[:2000]))
    refused(response, "invalid_request")


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
def test_f4_f10_token_when_forged_or_of_another_type_then_invalid_request(story, world, forger):
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
def test_f10_subject_when_declared_as_what_it_is_not_then_invalid_request(story, world):
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


@pytest.mark.conformance("TX-50", "TX-33")
def test_f2_subject_when_somebody_elses_then_it_looks_like_an_unknown_one(story, world, clock):
    clock.forward(seconds=1)
    # For service B: its own client may exchange it, A's client may not.
    theirs = story.tokens(resource=SERVICE_B)
    for_cron = own_token(story, world.service_b_client)
    dead = story.tokens(resource=SERVICE_B)
    story.revoke(dead["refresh_token"])
    texts = [
        theirs["access_token"], theirs["refresh_token"], dead["access_token"], "unknown", "a.b.c"
    ]  # fmt: skip
    asker = world.service_c_client
    asker.change(may_exchange_refresh_tokens=True)
    answers = set()
    for text in (*texts, for_cron):
        for declared in (names.ACCESS_TOKEN, names.JWT, names.REFRESH_TOKEN_TYPE):
            response = story.exchange(text, asker, audience=SERVICE_A, subject_token_type=declared)
            answers.add((response.status_code, response.content))
    assert len(answers) == 1
    assert act_of(
        handed_on(story, theirs["access_token"], world.service_b_client, audience=SERVICE_A)
    ) == ["service-b"]


@pytest.mark.conformance("TX-40")
def test_refresh_token_when_the_policy_allows_it_then_it_is_taken_and_not_used_up(story, world):
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


@pytest.mark.conformance("TX-40", "TX-33")
def test_f2_refresh_token_when_another_clients_then_invalid_request(story, world):
    tokens = story.tokens()
    world.service_a_client.change(may_exchange_refresh_tokens=True)
    with refusal_recorded("invalid_request", delegation=delegation_of(tokens)):
        response = story.exchange(
            tokens["refresh_token"], subject_token_type=names.REFRESH_TOKEN_TYPE
        )
    refused(response, "invalid_request")
    assert story.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.conformance("TX-40")
def test_refresh_token_when_expired_or_its_delegation_ended_then_invalid_request(
    story, world, clock
):
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


def test_refusals_when_many_then_neither_log_nor_trail_has_a_token(story, world, caplog):
    tokens = story.tokens()
    actor = own_token(story, world.service_a_client)
    secrets = [tokens["access_token"], tokens["refresh_token"], actor, world.web.secret]
    with caplog.at_level("DEBUG"):
        for text in secrets:
            story.exchange(text, subject_token_type="urn:x")
            story.exchange(text, audience="https://unknown.example.com")
            story.exchange(tokens["access_token"], **acting_with(text))
            story.exchange(text, world.service_c_client, audience=SERVICE_A)
            story.exchange(text, subject_token_type=names.REFRESH_TOKEN_TYPE, scope=text)
            story.exchange(tokens["access_token"], audience=text, scope=text, constraints=text)
        handed_on(story, tokens["access_token"], **acting_with(actor))
    rows = AuditEvent.objects.values()
    written = caplog.text + "".join(str(row) for row in rows)
    assert last_event(event="token.exchanged")
    for text in secrets:
        for part in (text, *text.split(".")[1:], text[:40]):
            assert part not in written
