"""A replay ends the family, whatever else is wrong with the request or the client."""

import pytest

from delegation_app.models import AuditEvent, AuthorizationCode
from delegation_app.protocol import names
from tests.support.answers import nothing_stored, recorded, refusal_recorded, refused, refuses
from tests.support.chains import Chain
from tests.support.world import REDIRECT_URI, SERVICE_A, SERVICE_B, VERIFIER, delegation_of

READ = "read:metrics"


class Family:
    """A code that was redeemed, and refresh tokens of which the last is unused."""

    def __init__(self, story):
        self.story = story
        self.code = story.code()
        answers = [story.redeem(self.code).json()]
        for _ in range(2):
            answers.append(story.refresh(answers[-1]["refresh_token"]).json())
        self.delegation = delegation_of(answers[0])
        self.used, self.successor, self.newest = (one["refresh_token"] for one in answers)

    def request(self, what):
        """The parameters that present what was used before."""
        if what == "code":
            grant_type = "authorization_code"
            return {"grant_type": grant_type, "code": self.code, "code_verifier": VERIFIER}
        return {"grant_type": "refresh_token", "refresh_token": self.used}

    def goes_on(self):
        return self.story.refresh(self.newest).status_code == 200

    def ended_by_replay(self):
        """Whether it ended for that reason, with the block that this leaves."""
        self.delegation.refresh_from_db()
        reason = self.delegation.revocation_reason
        return reason in {"code replayed", "refresh token reused"} and not self.goes_on()


@pytest.fixture
def family(story):
    return Family(story)


both = pytest.mark.parametrize("what", ["code", "refresh_token"])


@both
def test_replay_when_the_user_is_disabled(story, world, family, what):
    world.alice.is_active = False
    world.alice.save()
    with recorded("delegation.revoked"):
        refused(story.token(**family.request(what)), "invalid_grant")
    world.alice.is_active = True
    world.alice.save()
    assert family.ended_by_replay()


def test_retry_when_the_user_is_disabled(story, world):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    world.alice.is_active = False
    world.alice.save()
    refused(story.refresh(first["refresh_token"]), "invalid_grant")
    event = AuditEvent.objects.latest("pk")
    assert event.details["detail"] == "the user or a client of its delegation is disabled"
    world.alice.is_active = True
    world.alice.save()
    assert story.refresh(second["refresh_token"]).status_code == 200


def test_replay_when_a_client_above_is_disabled(story, world, clock):
    grants = [names.CLIENT_CREDENTIALS, names.REFRESH_TOKEN, names.TOKEN_EXCHANGE]
    world.service_a_client.change(may_refresh_exchanged_tokens=True, grants=grants)
    chain = Chain(story)
    used = [chain.answers[1]["refresh_token"]]
    for _ in range(2):
        answer = story.refresh(used[-1], world.service_a_client).json()
        used.append(answer["refresh_token"])
    clock.forward(minutes=5)
    world.web.change(enabled=False)
    refused(story.refresh(used[0], world.service_a_client), "invalid_grant")
    world.web.change(enabled=True)
    refused(story.refresh(used[-1], world.service_a_client), "invalid_grant")
    assert story.refresh(chain.answers[0]["refresh_token"]).status_code == 200


WRONG = {
    "DPoP": ({}, {"HTTP_DPOP": "a.b.c"}),
    "scope twice": ({"scope": [READ, READ]}, {}),
    "redirect URI missing, resource wrong": ({"resource": "no uri"}, {}),
    "not supported": ({"authorization_details": "[]"}, {}),
    "no grant type": ({"grant_type": None}, {}),
    "grant type twice": ({"grant_type": ["refresh_token", "authorization_code"]}, {}),
    "unknown grant type": ({"grant_type": "password"}, {}),
    "grant type of another": ({"grant_type": names.DEVICE_CODE}, {}),
    "resource of another": ({"resource": SERVICE_B}, {}),
    "resource unknown": ({"resource": [SERVICE_A, "https://unknown.example.com"]}, {}),
    "scope unknown": ({"scope": "unknown"}, {}),
    "scope malformed": ({"scope": "é"}, {}),
    "grant type that lacks a parameter": ({"grant_type": names.TOKEN_EXCHANGE}, {}),
}


@both
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_replay_when_something_else_is_wrong(story, family, what, wrong):
    changes, headers = wrong
    data = {**family.request(what), **changes}
    with recorded("delegation.revoked"):
        refused(story.post("/oauth/token", data, story.world.web, **headers), "invalid_grant")
    assert family.ended_by_replay()


@both
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_first_use_when_something_else_is_wrong(story, what, wrong):
    changes, headers = wrong
    code = story.code()
    data = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    if what == "refresh_token":
        token = story.redeem(code).json()["refresh_token"]
        data = {"grant_type": "refresh_token", "refresh_token": token}
    with nothing_stored():
        story.post("/oauth/token", {**data, **changes}, story.world.web, **headers)
    assert story.token(**data).status_code == 200


def lose_the_grant(world, data):
    grants = world.web.policy.grants
    world.web.change(grants=[one for one in grants if one != data["grant_type"]])


def lose_a_scope(world, _data):
    world.web.change(scopes="read:profile")


def lose_the_audience(world, _data):
    world.web.policy.audiences.set([world.service_b])


def close_the_service(world, _data):
    type(world.service_a).objects.filter(pk=world.service_a.pk).update(active=False)


@both
@pytest.mark.parametrize(
    "lose", [lose_the_grant, lose_a_scope, lose_the_audience, close_the_service]
)
def test_replay_when_the_client_lost_something(story, world, family, what, lose):
    policy, data = world.web.policy, family.request(what)
    audiences = list(policy.audiences.all())
    lose(world, data)
    with recorded("delegation.revoked"):
        refused(story.token(**data), "invalid_grant")
    world.web.change(grants=policy.grants, scopes=policy.scopes)
    policy.audiences.set(audiences)
    type(world.service_a).objects.update(active=True)
    assert family.ended_by_replay()


@both
@pytest.mark.parametrize("beside", ["itself", "junk", "the other one first"])
def test_replay_when_it_is_sent_twice(story, family, what, beside):
    data = family.request(what)
    used = family.used if what == "refresh_token" else family.code
    data[what] = {
        "itself": [used, used],
        "junk": [used, "x" * 43],
        "the other one first": ["junk", used],
    }[beside]
    refused(story.token(**data), "invalid_grant")
    assert family.ended_by_replay()


@both
def test_replay_when_it_comes_to_the_endpoint_of_exchanges(story, family, what):
    refused(story.post("/oauth/exchange", family.request(what), story.world.web), "invalid_grant")
    assert family.ended_by_replay()


@both
def test_replay_when_another_client_sends_it_with_a_proof(story, world, family, what):
    for client in (world.other, world.mobile):
        data = family.request(what)
        refused(story.post("/oauth/token", data, client, HTTP_DPOP="x"), "invalid_request")
    assert family.goes_on()


@both
def test_replay_when_the_client_is_not_authenticated(story, family, what):
    data = {**family.request(what), "client_id": "web", "client_secret": "wrong"}
    refused(story.post("/oauth/token", data, HTTP_DPOP="x"), "invalid_client", 401)
    assert family.goes_on()


@pytest.mark.parametrize(
    "changes", [{"code_verifier": None}, {"code_verifier": "v" * 43}, {"redirect_uri": "https://x"}]
)
def test_code_when_replayed_without_its_proof_and_with_a_header(story, family, changes):
    data = {**family.request("code"), **changes}
    refused(story.post("/oauth/token", data, story.world.web, HTTP_DPOP="x"), "invalid_request")
    assert family.goes_on()


@pytest.mark.parametrize("name", ["redirect_uri", "code_verifier"])
@pytest.mark.parametrize("is_first", [True, False])
def test_code_when_replayed_with_a_right_and_a_wrong_proof(story, family, name, is_first):
    right = {"redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}[name]
    both_values = [right, "https://x"] if is_first else ["https://x", right]
    data = {**family.request("code"), name: both_values}
    refused(story.token(**data), "invalid_grant")
    assert family.ended_by_replay()


def test_code_when_replayed_with_two_wrong_redirect_uris(story, family):
    data = {**family.request("code"), "redirect_uri": ["https://x", "https://y"]}
    refused(story.token(**data), "invalid_request")
    assert family.goes_on()


def test_code_when_unused_and_sent_with_a_right_and_a_wrong_redirect_uri(story):
    code = story.code()
    data = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    refused(story.token(**data, redirect_uri=[REDIRECT_URI, "https://x"]), "invalid_request")
    assert story.redeem(code).status_code == 200


def test_retry_when_something_else_is_wrong(story, family):
    data = {"grant_type": "refresh_token", "refresh_token": family.successor}
    for headers in ({"HTTP_DPOP": "x"}, {}):
        answer = story.post(
            "/oauth/token", {**data, "scope": [READ, READ]}, story.world.web, **headers
        )
        refused(answer, "invalid_request")
    assert family.goes_on()


# In an exchange


@pytest.fixture
def exchanging(world):
    world.web.change(
        grants=[names.AUTHORIZATION_CODE, names.REFRESH_TOKEN, names.TOKEN_EXCHANGE],
        may_exchange_refresh_tokens=True,
    )
    return world.web


def exchanged(story, token, **changes):
    """What web is answered when it exchanges a refresh token."""
    declared = {"subject_token_type": names.REFRESH_TOKEN_TYPE, "audience": SERVICE_A}
    return story.exchange(token, story.world.web, **{**declared, **changes})


@pytest.mark.parametrize(
    "changes",
    [{}, {"subject_token_type": names.ACCESS_TOKEN}, {"scope": [READ, READ]}, {"constraints": "{"}],
)
def test_used_refresh_token_when_exchanged(story, exchanging, family, changes):
    refused(exchanged(story, family.used, **changes), "invalid_request")
    assert family.ended_by_replay()


def test_used_refresh_token_when_it_is_the_actor_token(story, exchanging, family):
    access = story.tokens(prompt="consent")["refresh_token"]
    actor = {"actor_token": family.used, "actor_token_type": names.ACCESS_TOKEN}
    refused(exchanged(story, access, **actor), "invalid_request")
    assert family.ended_by_replay()
    assert story.refresh(access).status_code == 200


def test_used_refresh_token_when_exchanged_in_the_retry_window(story, exchanging, family, clock):
    refused(exchanged(story, family.successor), "invalid_request")
    assert AuditEvent.objects.latest("pk").delegation == family.delegation
    clock.forward(minutes=1)
    refused(exchanged(story, family.successor), "invalid_request")
    assert family.ended_by_replay()


def test_used_refresh_token_when_another_client_exchanges_it(story, family):
    declared = {"subject_token_type": names.REFRESH_TOKEN_TYPE, "audience": SERVICE_B}
    refused(story.exchange(family.used, **declared), "invalid_request")
    assert family.goes_on()


# What the record says


def test_code_when_expired_or_ended(story, world, clock):
    def said(code):
        refused(story.redeem(code), "invalid_grant")
        return AuditEvent.objects.latest("pk").details["detail"]

    late, ended, disabled = (story.code(prompt="consent") for _ in range(3))
    events = AuditEvent.objects.filter(event="code.issued").order_by("pk")
    row = list(events)[1].delegation
    row.revoked_at, row.revoked_by = clock.time, "user:7"
    row.save()
    assert said(ended) == "its delegation has ended"
    world.alice.is_active = False
    world.alice.save()
    assert said(disabled) == "the user or a client of its delegation is disabled"
    clock.forward(minutes=2)
    assert said(late) == "expired"
    assert said(ended) == "expired, and its delegation has ended"


def test_d4_family_when_another_one_of_the_same_client_is_replayed(story, clock):
    stolen, other = story.tokens(), story.tokens()
    story.refresh(stolen["refresh_token"])
    clock.forward(seconds=60)
    refused(story.refresh(stolen["refresh_token"]), "invalid_grant")
    assert story.is_active(other["access_token"])
    assert story.refresh(other["refresh_token"]).status_code == 200


@pytest.mark.parametrize("which", ["presented", "successor"])
def test_d5_token_when_revoked(story, which):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    story.revoke((first if which == "presented" else second)["refresh_token"])
    for tokens in (first, second):
        with refusal_recorded("invalid_grant"):
            refused(story.refresh(tokens["refresh_token"]), "invalid_grant")


def test_d17_revocation_when_the_token_is_unknown_expired_or_malformed(story, clock):
    tokens = story.tokens()
    expired = tokens["access_token"]
    clock.forward(minutes=11)
    answers = [story.revoke(text) for text in (expired, "unknown", "a.b.c", "a" * 43, "{}", "é")]
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    headers = [
        {name: value for name, value in answer.items() if name != "X-Request-Id"}
        for answer in answers
    ]
    assert all(each == headers[0] for each in headers)
    assert answers[0].status_code == 200


def mutations(token):
    """Other spellings of a token that a lenient comparison would take for it."""
    yield from (token[:-drop] for drop in (1, 2, 3, 10, len(token) // 2))
    yield from (token + more for more in ("=", "==", " ", "A", ".", "\t", "\r\n", "\u200b"))
    yield from (" " + token, token.swapcase(), token.upper(), token.lower(), token[::-1])
    yield token[:-1] + chr(ord(token[-1]) ^ 1)
    yield from (token.replace(token[5], "%" + f"{ord(token[5]):02x}", 1), token[0] * len(token))
    yield token + ", " + token


@pytest.mark.parametrize("kind", ["code", "refresh_token", "access_token", "opaque"])
def test_a10_secret_when_cut_lengthened_or_respelled(story, world, kind):
    if kind == "opaque":
        world.service_a.token_format = "opaque"
        world.service_a.save()
    code = story.code()
    secret = code
    if kind != "code":
        tokens = story.redeem(code).json()
        secret = tokens["refresh_token" if kind == "refresh_token" else "access_token"]
    others = [text for text in mutations(secret) if text != secret]
    assert len(others) > 18
    with nothing_stored():
        for text in others:
            if kind == "code":
                refused(story.redeem(text), "invalid_grant")
            elif kind == "refresh_token":
                refused(story.refresh(text), "invalid_grant")
            else:
                assert story.introspect(text).json() == {"active": False}
            # Nor does one of them revoke the real one.
            assert story.revoke(text).status_code == 200
    if kind == "code":
        assert story.redeem(secret).status_code == 200
    elif kind == "refresh_token":
        assert story.refresh(secret).status_code == 200
    else:
        assert story.is_active(secret)


def test_code_when_it_is_confused_with_another_kind_of_secret(story):
    code = story.code()
    tokens = story.tokens()
    for text in (
        tokens["refresh_token"],
        tokens["access_token"],
        AuthorizationCode.objects.first().digest,
    ):
        with refusal_recorded("invalid_grant"):
            refused(story.redeem(text), "invalid_grant")
    refuses("invalid_grant", lambda: story.refresh(code))
