"""Refreshing and retrying: RFC 6749 section 6, RFC 9700 section 4.14."""

import pytest
from django.test import override_settings

from delegation_app.events import OF_TOKENS
from delegation_app.models import AccessToken, AuditEvent, Delegation, DeviceCode, RefreshToken
from delegation_app.services.audit import RequestContext
from delegation_app.services.consent import approval
from delegation_app.services.delegations import revocation
from delegation_app.services.tokens import reissue
from tests.support.answers import never_stored, recorded, refusal_recorded, refused, refuses
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of

pytestmark = pytest.mark.compat

ISSUER = "https://as.example.com"
STRICT = override_settings(DELEGATION={"ISSUER": ISSUER, "REFRESH_RETRY_WINDOW": 0})


@pytest.mark.conformance("RT-01")
def test_refresh_token_when_another_client_presents_it(story, world):
    tokens = story.tokens()
    for thief in (world.other, world.mobile):
        with refusal_recorded("invalid_grant", client_id_value=thief.client_id):
            response = story.refresh(tokens["refresh_token"], thief)
        refused(response, "invalid_grant")
    assert story.is_active(tokens["access_token"])
    assert story.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.conformance("RT-01")
def test_used_refresh_token_when_another_client_presents_it(story, world, clock):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    clock.forward(seconds=60)
    refuses("invalid_grant", lambda: story.refresh(first["refresh_token"], world.other))
    assert story.is_active(second["access_token"])


@pytest.mark.conformance("RT-01")
def test_refresh_token_when_the_client_is_not_authenticated(story, world):
    refresh_token = story.tokens()["refresh_token"]
    data = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": "web"}
    for secret in (None, "wrong"):
        with refusal_recorded("invalid_client"):
            response = story.post("/oauth/token", {**data, "client_secret": secret})
        refused(response, "invalid_client", 401)
    assert story.refresh(refresh_token).status_code == 200


@pytest.mark.conformance("RT-02")
@pytest.mark.parametrize(
    "scope", ["read:metrics write:alerts read:profile", "read:profile", "unknown", "delete:alerts"]
)
def test_scope_when_it_is_more_than_was_granted(story, scope):
    tokens = story.tokens()
    refuses("invalid_scope", lambda: story.refresh(tokens["refresh_token"], scope=scope))
    # The refusal cost nobody the refresh token.
    assert story.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.conformance("RT-02")
def test_scope_when_left_out(story):
    tokens = story.tokens()
    with recorded("token.refreshed"):
        response = story.refresh(tokens["refresh_token"])
    never_stored(response)
    answer = response.json()
    assert answer["scope"] == tokens["scope"] == "read:metrics write:alerts"
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 600
    assert claims_of(answer["access_token"])["scope"] == answer["scope"]


@pytest.mark.conformance("RT-03")
def test_resource_when_narrowed(story):
    tokens = story.tokens(resource=[SERVICE_A, SERVICE_B])
    narrow = story.refresh(tokens["refresh_token"], resource=SERVICE_B).json()
    assert claims_of(narrow["access_token"])["aud"] == SERVICE_B
    whole = story.refresh(narrow["refresh_token"]).json()
    assert claims_of(whole["access_token"])["aud"] == [SERVICE_A, SERVICE_B]


@pytest.mark.conformance("RT-04")
@pytest.mark.parametrize(("app", "window"), [("mobile", 10), ("web", 60)])
def test_refresh_token_when_used(story, world, clock, app, window):
    app = world.apps[app]
    first = story.tokens(app)
    second = story.refresh(first["refresh_token"], app).json()
    assert second["refresh_token"] != first["refresh_token"]
    third = story.refresh(second["refresh_token"], app).json()
    assert len({t["refresh_token"] for t in (first, second, third)}) == 3
    clock.forward(seconds=window)
    refused(story.refresh(second["refresh_token"], app), "invalid_grant")


@pytest.mark.conformance("RT-05", "OT-06")
def test_refresh_token_when_reused_after_the_window(story, clock):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    clock.forward(seconds=60)
    with recorded("delegation.revoked"):
        response = story.refresh(first["refresh_token"])
    refused(response, "invalid_grant")
    delegation = delegation_of(first)
    assert delegation.revocation_reason == "refresh token reused"
    assert delegation.revoked_by == "system"
    refuses("invalid_grant", lambda: story.refresh(second["refresh_token"]))
    assert not story.is_active(first["access_token"])
    assert not story.is_active(second["access_token"])


@pytest.mark.conformance("RT-05")
def test_refresh_token_when_its_successor_was_used(story):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    third = story.refresh(second["refresh_token"]).json()
    with recorded("delegation.revoked"):
        refused(story.refresh(first["refresh_token"]), "invalid_grant")
    assert not story.is_active(third["access_token"])
    refused(story.refresh(third["refresh_token"]), "invalid_grant")


@pytest.mark.conformance("RT-04", "RT-05")
def test_refresh_token_when_the_site_is_strict(story):
    with STRICT:
        first = story.tokens()
        second = story.refresh(first["refresh_token"]).json()
        with recorded("delegation.revoked"):
            refused(story.refresh(first["refresh_token"]), "invalid_grant")
        assert not story.is_active(second["access_token"])


@pytest.mark.conformance("RT-06")
@pytest.mark.parametrize("resource", [SERVICE_B, "https://unknown.example.com", "not a uri"])
def test_resource_when_it_was_not_consented_to(story, resource):
    tokens = story.tokens(resource=SERVICE_A)
    with refusal_recorded("invalid_target"):
        response = story.refresh(tokens["refresh_token"], resource=resource)
    refused(response, "invalid_target")
    with refusal_recorded("invalid_target"):
        response = story.refresh(tokens["refresh_token"], resource=[SERVICE_A, resource])
    refused(response, "invalid_target")
    answer = story.refresh(tokens["refresh_token"], resource=SERVICE_A).json()
    assert claims_of(answer["access_token"])["aud"] == SERVICE_A


@pytest.mark.conformance("RT-07")
def test_refresh_token_when_it_lay_unused_for_too_long(story, world, clock):
    world.web.change(refresh_token_lifetime=7 * 24 * 3600)
    used, unused = story.tokens()["refresh_token"], story.tokens()["refresh_token"]
    clock.forward(days=7, seconds=-1)
    used = story.refresh(used).json()["refresh_token"]
    clock.forward(seconds=1)
    refuses("invalid_grant", lambda: story.refresh(unused))
    # Each use starts the time anew.
    clock.forward(days=6)
    assert story.refresh(used).status_code == 200


@pytest.mark.conformance("RT-08")
def test_refresh_token_when_the_delegation_ends_soon(story, world, clock):
    day = 24 * 3600
    world.web.change(refresh_token_lifetime=7 * day, delegation_lifetime=30 * day)
    answer = story.tokens()
    ends = delegation_of(answer).expires_at
    assert answer["refresh_token_timeout"] == 7 * day
    assert answer["authorization_expires_in"] == 30 * day
    for _ in range(7):
        clock.forward(days=4)
        answer = story.refresh(answer["refresh_token"]).json()
    assert answer["refresh_token_timeout"] == answer["authorization_expires_in"] == 172_800
    clock.forward(days=2, seconds=-5)
    answer = story.refresh(answer["refresh_token"]).json()
    assert answer["refresh_token_timeout"] == answer["authorization_expires_in"] == 5
    assert answer["expires_in"] == 5
    assert claims_of(answer["access_token"])["exp"] <= ends.timestamp()
    assert story.is_active(answer["access_token"])
    clock.forward(seconds=5)
    assert not story.is_active(answer["access_token"])
    refused(story.refresh(answer["refresh_token"]), "invalid_grant")


@pytest.mark.conformance("RT-08")
def test_refresh_token_when_the_delegation_has_no_end(story, world, clock):
    with override_settings(DELEGATION={"ISSUER": ISSUER, "DELEGATION_LIFETIME": None}):
        answer = story.tokens()
    assert answer["refresh_token_timeout"] == 30 * 24 * 3600
    assert "authorization_expires_in" not in answer


def _revoke(world):
    revocation.subtree(Delegation.objects.get(), RequestContext("user:7"), reason="operator")


def _withdraw(world):
    approval.withdraw(
        Delegation.objects.get().consent, RequestContext("user:7"), reason="withdrawn"
    )


def _deactivate(world):
    world.alice.is_active = False
    world.alice.save()


def _delete(world):
    world.alice.delete()


@pytest.mark.conformance("RT-09")
@pytest.mark.parametrize("end", [_revoke, _withdraw, _deactivate, _delete])
@pytest.mark.parametrize("seconds", [0, 30, 90])
def test_refresh_token_when_its_delegation_is_over(story, world, clock, end, seconds):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    end(world)
    clock.forward(seconds=seconds)
    refuses("invalid_grant", lambda: story.refresh(second["refresh_token"]))
    # The one before is a retry within its window, and later a replay, which ends what is suspended
    is_replay = seconds > 60 and end is _deactivate
    with recorded("delegation.revoked") if is_replay else refusal_recorded("invalid_grant"):
        refused(story.refresh(first["refresh_token"]), "invalid_grant")
    assert not any(story.is_active(tokens["access_token"]) for tokens in (first, second))


@pytest.mark.conformance("RT-10")
def test_refresh_token_when_missing(story, world):
    refuses("invalid_request", lambda: story.refresh(None))


@pytest.mark.conformance("RT-10")
@pytest.mark.parametrize("text", ["unknown", "a" * 43, "a" * 54, "a.b.c", "é", "a" * 60_000])
def test_refresh_token_when_unknown_or_malformed(story, text):
    refuses("invalid_grant", lambda: story.refresh(text))


# What is presented a second time: a retry after a lost answer, or a replay
# Each is wrong with a token request for service A's read:metrics and write:alerts
WRONG_TARGETS = [
    {"resource": SERVICE_B}, {"resource": "https://unknown.example.com"}, {"resource": "no uri"},
    {"resource": ["https://service-a.example.com", "no uri"]}, {"authorization_details": "[]"},
]  # fmt: skip


@pytest.mark.parametrize("asked", WRONG_TARGETS[:-1])
def test_device_code_when_used_before_and_sent_with_something_wrong(story, asked):
    code = story.approved()
    tokens = story.poll(code).json()
    refuses("invalid_grant", lambda: story.poll(code, **asked))
    assert story.is_active(tokens["access_token"])


# A first use that asks for something wrong costs nothing


def test_retry_when_it_asks_for_something_wrong(story):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    refuses("invalid_scope", lambda: story.refresh(first["refresh_token"], scope="unknown"))
    assert story.refresh(second["refresh_token"]).status_code == 200


def test_code_when_its_proof_is_wrong_too(story):
    code = story.code()
    tokens = story.redeem(code).json()
    with refusal_recorded("invalid_grant"):
        refused(story.redeem(code, code_verifier="wrong" * 10, resource=SERVICE_B), "invalid_grant")
    assert story.is_active(tokens["access_token"])


# The retry window of refresh tokens


@pytest.mark.conformance("RT-11")
@pytest.mark.parametrize(("app", "seconds"), [("web", 59), ("mobile", 9)])
def test_refresh_token_when_retried_within_the_window(story, world, clock, app, seconds):
    app = world.apps[app]
    first = story.tokens(app)
    second = story.refresh(first["refresh_token"], app).json()
    clock.forward(seconds=seconds)
    with recorded("token.refresh_retried"):
        again = story.refresh(first["refresh_token"], app).json()
    assert again["refresh_token"] == second["refresh_token"]
    assert claims_of(again["access_token"])["jti"] != claims_of(second["access_token"])["jti"]
    assert RefreshToken.objects.count() == 2
    assert story.refresh(again["refresh_token"], app).status_code == 200


def test_retry_when_there_are_many(story):
    first = story.tokens()
    story.refresh(first["refresh_token"])
    data = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    for number in range(20):
        address, agent = f"192.0.2.{number + 1}", f"agent {number}\x1b[1m"
        headers = {"REMOTE_ADDR": address, "HTTP_USER_AGENT": agent}
        answer = story.post("/oauth/token", data, story.world.web, **headers)
        assert answer.status_code == 200
    assert AuditEvent.objects.filter(event="token.refreshed").count() == 1
    retried = AuditEvent.objects.filter(event="token.refresh_retried").order_by("id")
    assert retried.count() == 20
    last = retried.last()
    assert (last.ip_address, last.actor) == ("192.0.2.20", "client:web")
    assert last.details["address"] == "192.0.2.20"
    assert last.details["user_agent"] == "agent 19�[1m"
    assert last.details["scope"] == "read:metrics write:alerts"
    assert last.jti == AccessToken.objects.latest("pk").jti
    # They are found by their name without reading the whole trail
    assert "token.refresh_retried" not in OF_TOKENS


@pytest.mark.parametrize(
    ("app", "windows", "seconds"),
    [
        # The site's window, and the client's own
        ("web", (60, None), 60),
        ("web", (20, None), 20),
        ("web", (60, 120), 120),
        ("web", (60, 5), 5),
        ("web", (0, 30), 30),
        # A public client proves nothing
        ("mobile", (60, None), 10),
        ("mobile", (5, None), 5),
        ("mobile", (60, 30), 30),
        # Never beyond an access token's life
        ("web", (60, 3600), 600),
        ("web", (3600, None), 600),
    ],
)
def test_window_when_set_for_site_and_client(story, clock, app, windows, seconds):
    app, (site, policy) = story.world.apps[app], windows
    app.change(refresh_retry_window=policy)
    with override_settings(DELEGATION={"ISSUER": ISSUER, "REFRESH_RETRY_WINDOW": site}):
        for late in (False, True):
            tokens = story.tokens(app, prompt="consent")
            story.refresh(tokens["refresh_token"], app)
            clock.forward(seconds=seconds - (not late))
            response = story.refresh(tokens["refresh_token"], app)
            if late:
                refused(response, "invalid_grant")
            else:
                assert response.status_code == 200


@pytest.mark.parametrize("app", ["web", "mobile"])
def test_window_when_the_policy_says_zero(story, world, app):
    app = world.apps[app]
    app.change(refresh_retry_window=0)
    tokens = story.tokens(app)
    story.refresh(tokens["refresh_token"], app)
    with recorded("delegation.revoked"):
        refused(story.refresh(tokens["refresh_token"], app), "invalid_grant")


# A device that has not got its answer


def test_device_when_it_polls_again_after_its_interval(story, world, clock):
    code = story.approved()
    lost = story.poll(code).json()
    clock.forward(seconds=5)
    with recorded("token.reissued"):
        tokens = story.poll(code).json()
    assert tokens["scope"] == lost["scope"]
    assert (
        claims_of(tokens["access_token"])["delegation_id"]
        == (claims_of(lost["access_token"])["delegation_id"])
    )
    assert not story.is_active(lost["access_token"])
    assert story.is_active(tokens["access_token"])
    refused(story.refresh(lost["refresh_token"], world.tv), "invalid_grant")
    # Which ends nothing
    assert story.refresh(tokens["refresh_token"], world.tv).status_code == 200
    assert Delegation.objects.get().revoked_at is None


def test_device_when_it_loses_its_answer_twice(story, world, clock):
    code = story.approved()
    for _ in range(2):
        story.poll(code)
        clock.forward(seconds=5)
    tokens = story.poll(code).json()
    assert AccessToken.objects.filter(revoked_at=None).count() == 1
    assert story.refresh(tokens["refresh_token"], world.tv).status_code == 200


@pytest.mark.parametrize("seconds", [0, 1, 4])
def test_device_when_it_polls_again_too_soon(story, clock, seconds):
    code = story.approved()
    tokens = story.poll(code).json()
    clock.forward(seconds=seconds)
    refuses("invalid_grant", lambda: story.poll(code))
    assert story.is_active(tokens["access_token"])


def test_device_when_it_was_told_to_slow_down(story, clock):
    code = story.approved()
    DeviceCode.objects.update(interval=15)
    story.poll(code)
    clock.forward(seconds=14)
    refused(story.poll(code), "invalid_grant")
    clock.forward(seconds=1)
    assert story.poll(code).status_code == 200


@pytest.mark.parametrize("use", ["introspect", "refresh"])
def test_device_when_its_tokens_were_used(story, world, clock, use):
    code = story.approved()
    tokens = story.poll(code).json()
    if use == "introspect":
        story.introspect(tokens["access_token"])
    else:
        tokens = story.refresh(tokens["refresh_token"], world.tv).json()
    clock.forward(seconds=5)
    refuses("invalid_grant", lambda: story.poll(code))
    assert story.is_active(tokens["access_token"])


def test_device_when_its_code_has_expired(story, clock):
    code = story.approved()
    tokens = story.poll(code).json()
    clock.forward(seconds=600)
    refuses("invalid_grant", lambda: story.poll(code))
    assert AccessToken.objects.get().revoked_at is None
    assert tokens


def test_device_when_its_delegation_has_a_limit_of_uses(story, world, clock):
    world.tv.change(constraints=[{"type": "max_uses", "uses": 1}])
    code = story.approved()
    story.poll(code)
    clock.forward(seconds=5)
    assert story.poll(code).status_code == 200
    assert Delegation.objects.get().uses == 1


def test_retry_when_the_delegation_has_a_limit_of_uses(story, world, clock):
    world.web.change(constraints=[{"type": "max_uses", "uses": 2}])
    first = story.tokens()
    clock.forward(seconds=5)
    answers = [story.refresh(first["refresh_token"]).json() for _ in range(4)]
    # The first token and the last one: what is out is never more than the limit
    texts = [first["access_token"], *(answer["access_token"] for answer in answers)]
    assert [story.is_active(text) for text in texts] == [True, False, False, False, True]
    assert Delegation.objects.get().uses == 2
    refused(story.refresh(answers[-1]["refresh_token"]), "invalid_grant")


# What is remembered of lost answers


def test_lost_answers_when_one_is_noted(monkeypatch):
    monkeypatch.setattr(reissue, "_MOST", 3)
    for number in range(5):
        reissue._note(f"digest-{number}", f"jti-{number}")
    assert len(reissue._local.kept) == 3
    assert reissue.token_of("digest-4") == "jti-4"
    # Through the cache, as another process would
    assert reissue.token_of("digest-0") == "jti-0"
    assert reissue.token_of("digest-5") is None
    monkeypatch.setattr(reissue.time, "monotonic", lambda: float("inf"))
    reissue.caches["default"].clear()
    assert reissue.token_of("digest-4") is None


def test_lost_answers_when_the_cache_is_away(monkeypatch):
    class Away:
        def __getitem__(self, _alias):
            raise ConnectionError

    monkeypatch.setattr(reissue, "caches", Away())
    reissue._note("digest", "jti")
    assert reissue.token_of("digest") == "jti"
    reissue.forget()
    assert reissue.token_of("digest") is None
