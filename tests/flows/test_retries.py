"""What is presented a second time: a retry after a lost answer, or a replay."""

import pytest
from django.test import override_settings

from delegation_app.events import OF_TOKENS
from delegation_app.models import AccessToken, AuditEvent, Delegation, DeviceCode, RefreshToken
from delegation_app.services.tokens import reissue
from tests.support.answers import recorded, refusal_recorded, refused
from tests.support.world import SERVICE_B, claims_of, delegation_of

ISSUER = "https://as.example.com"

# Each is wrong with a token request for service A's read:metrics and write:alerts
WRONG_TARGETS = [
    {"resource": SERVICE_B},
    {"resource": "https://unknown.example.com"},
    {"resource": "no uri"},
    {"resource": ["https://service-a.example.com", "no uri"]},
    {"authorization_details": "[]"},
]
WRONG_SCOPES = [
    {"scope": "unknown"},
    {"scope": "read:profile"},
    {"scope": "read:metrics write:alerts delete:alerts"},
    {"scope": "é"},
]


def lose_a_scope(world):
    world.web.change(scopes="read:profile")


def close_the_service(world):
    world.service_a.active = False
    world.service_a.save()


def take_the_audience(world):
    world.web.policy.audiences.set([world.service_b])


MEANWHILE = [lose_a_scope, close_the_service, take_the_audience]


# A replay is one, whatever it asks for


@pytest.mark.parametrize("asked", [*WRONG_TARGETS, *WRONG_SCOPES])
@pytest.mark.parametrize("seconds", [0, 30, 3600])
def test_code_when_replayed_with_something_wrong_then_it_is_a_replay(story, clock, asked, seconds):
    code = story.code()
    tokens = story.redeem(code).json()
    clock.forward(seconds=seconds)
    with recorded("delegation.revoked"):
        refused(story.redeem(code, **asked), "invalid_grant")
    assert delegation_of(tokens).revocation_reason == "code replayed"
    assert not story.is_active(tokens["access_token"])


@pytest.mark.parametrize("change", MEANWHILE)
def test_code_when_replayed_after_the_client_lost_something_then_it_is_a_replay(
    story, world, change
):
    code = story.code()
    tokens = story.redeem(code).json()
    change(world)
    with recorded("delegation.revoked"):
        refused(story.redeem(code), "invalid_grant")
    assert delegation_of(tokens).revocation_reason == "code replayed"


@pytest.mark.parametrize("asked", [*WRONG_TARGETS, *WRONG_SCOPES])
def test_refresh_token_when_reused_with_something_wrong_then_it_is_a_reuse(story, clock, asked):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    clock.forward(seconds=60)
    with recorded("delegation.revoked"):
        refused(story.refresh(first["refresh_token"], **asked), "invalid_grant")
    assert not story.is_active(second["access_token"])


@pytest.mark.parametrize("asked", [*WRONG_TARGETS, *WRONG_SCOPES])
def test_refresh_token_of_an_old_generation_when_reused_with_something_wrong_then_it_is_a_reuse(
    story, asked
):
    first = story.tokens()
    third = story.refresh(story.refresh(first["refresh_token"]).json()["refresh_token"]).json()
    with recorded("delegation.revoked"):
        refused(story.refresh(first["refresh_token"], **asked), "invalid_grant")
    assert not story.is_active(third["access_token"])


@pytest.mark.parametrize("change", MEANWHILE)
def test_refresh_token_when_reused_after_the_client_lost_something_then_it_is_a_reuse(
    story, world, clock, change
):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    clock.forward(seconds=60)
    change(world)
    with recorded("delegation.revoked"):
        refused(story.refresh(first["refresh_token"]), "invalid_grant")
    assert delegation_of(second).revocation_reason == "refresh token reused"


@pytest.mark.parametrize("asked", WRONG_TARGETS[:-1])
def test_device_code_when_used_before_and_sent_with_something_wrong_then_it_is_used(story, asked):
    code = story.approved()
    tokens = story.poll(code).json()
    with refusal_recorded("invalid_grant"):
        refused(story.poll(code, **asked), "invalid_grant")
    assert story.is_active(tokens["access_token"])


# A first use that asks for something wrong costs nothing


@pytest.mark.parametrize("asked", WRONG_TARGETS)
def test_code_when_first_sent_with_something_wrong_then_it_is_as_good_as_before(story, asked):
    code = story.code()
    error = "invalid_request" if "authorization_details" in asked else "invalid_target"
    with refusal_recorded(error):
        refused(story.redeem(code, **asked), error)
    assert story.redeem(code).status_code == 200


@pytest.mark.parametrize("asked", [*WRONG_TARGETS, *WRONG_SCOPES])
def test_refresh_token_when_first_sent_with_something_wrong_then_it_is_as_good_as_before(
    story, asked
):
    tokens = story.tokens()
    error = {"resource": "invalid_target", "scope": "invalid_scope"}.get(
        next(iter(asked)), "invalid_request"
    )
    with refusal_recorded(error):
        refused(story.refresh(tokens["refresh_token"], **asked), error)
    assert RefreshToken.objects.get().consumed_at is None
    assert story.refresh(tokens["refresh_token"]).status_code == 200


def test_retry_when_it_asks_for_something_wrong_then_refused_and_the_family_lives(story):
    first = story.tokens()
    second = story.refresh(first["refresh_token"]).json()
    with refusal_recorded("invalid_scope"):
        refused(story.refresh(first["refresh_token"], scope="unknown"), "invalid_scope")
    assert story.refresh(second["refresh_token"]).status_code == 200


def test_code_when_its_proof_is_wrong_too_then_that_comes_first_and_nothing_ends(story):
    code = story.code()
    tokens = story.redeem(code).json()
    with refusal_recorded("invalid_grant"):
        refused(story.redeem(code, code_verifier="wrong" * 10, resource=SERVICE_B), "invalid_grant")
    assert story.is_active(tokens["access_token"])


# The retry window of refresh tokens


@pytest.mark.conformance("RT-11")
@pytest.mark.parametrize(("app", "seconds"), [("web", 59), ("mobile", 9)])
def test_refresh_token_when_retried_within_the_window_then_it_gets_the_same_successor(
    story, world, clock, app, seconds
):
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


def test_retry_when_there_are_many_then_each_is_an_event_that_says_where_it_came_from(story):
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
def test_window_when_set_for_site_and_client_then_it_ends_in_time(
    story, clock, app, windows, seconds
):
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
def test_window_when_the_policy_says_zero_then_the_second_use_ends_the_family(story, world, app):
    app = world.apps[app]
    app.change(refresh_retry_window=0)
    tokens = story.tokens(app)
    story.refresh(tokens["refresh_token"], app)
    with recorded("delegation.revoked"):
        refused(story.refresh(tokens["refresh_token"], app), "invalid_grant")


@pytest.mark.parametrize("app", ["web", "mobile"])
def test_successor_when_it_was_used_then_it_is_not_handed_out_again(story, world, app):
    app = world.apps[app]
    tokens = story.tokens(app)
    second = story.refresh(tokens["refresh_token"], app).json()
    story.refresh(second["refresh_token"], app)
    with recorded("delegation.revoked"):
        refused(story.refresh(tokens["refresh_token"], app), "invalid_grant")


# A device that has not got its answer


def test_device_when_it_polls_again_after_its_interval_then_it_gets_tokens_in_place_of_the_first(
    story, world, clock
):
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


def test_device_when_it_loses_its_answer_twice_then_the_third_one_counts(story, world, clock):
    code = story.approved()
    for _ in range(2):
        story.poll(code)
        clock.forward(seconds=5)
    tokens = story.poll(code).json()
    assert AccessToken.objects.filter(revoked_at=None).count() == 1
    assert story.refresh(tokens["refresh_token"], world.tv).status_code == 200


@pytest.mark.parametrize("seconds", [0, 1, 4])
def test_device_when_it_polls_again_too_soon_then_invalid_grant_and_the_first_tokens_stay(
    story, clock, seconds
):
    code = story.approved()
    tokens = story.poll(code).json()
    clock.forward(seconds=seconds)
    with refusal_recorded("invalid_grant"):
        refused(story.poll(code), "invalid_grant")
    assert story.is_active(tokens["access_token"])


def test_device_when_it_was_told_to_slow_down_then_its_longer_interval_counts(story, clock):
    code = story.approved()
    DeviceCode.objects.update(interval=15)
    story.poll(code)
    clock.forward(seconds=14)
    refused(story.poll(code), "invalid_grant")
    clock.forward(seconds=1)
    assert story.poll(code).status_code == 200


@pytest.mark.parametrize("use", ["introspect", "refresh"])
def test_device_when_its_tokens_were_used_then_polling_again_gives_nothing(
    story, world, clock, use
):
    code = story.approved()
    tokens = story.poll(code).json()
    if use == "introspect":
        story.introspect(tokens["access_token"])
    else:
        tokens = story.refresh(tokens["refresh_token"], world.tv).json()
    clock.forward(seconds=5)
    with refusal_recorded("invalid_grant"):
        refused(story.poll(code), "invalid_grant")
    assert story.is_active(tokens["access_token"])


def test_device_when_its_code_has_expired_then_polling_again_gives_nothing(story, clock):
    code = story.approved()
    tokens = story.poll(code).json()
    clock.forward(seconds=600)
    with refusal_recorded("invalid_grant"):
        refused(story.poll(code), "invalid_grant")
    assert AccessToken.objects.get().revoked_at is None
    assert tokens


def test_device_when_another_client_polls_its_code_then_nothing_is_issued(story, world, clock):
    world.web.change(grants=["urn:ietf:params:oauth:grant-type:device_code"])
    code = story.approved()
    tokens = story.poll(code).json()
    clock.forward(seconds=5)
    with refusal_recorded("invalid_grant"):
        refused(story.poll(code, world.web), "invalid_grant")
    assert story.is_active(tokens["access_token"])


def test_device_when_its_delegation_has_a_limit_of_uses_then_the_lost_one_does_not_count(
    story, world, clock
):
    world.tv.change(constraints=[{"type": "max_uses", "uses": 1}])
    code = story.approved()
    story.poll(code)
    clock.forward(seconds=5)
    assert story.poll(code).status_code == 200
    assert Delegation.objects.get().uses == 1


def test_retry_when_the_delegation_has_a_limit_of_uses_then_it_takes_the_place_of_the_first(
    story, world, clock
):
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


def test_lost_answers_when_one_is_noted_then_it_is_known_for_its_time_and_bounded(monkeypatch):
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


def test_lost_answers_when_the_cache_is_away_then_this_process_still_knows(monkeypatch):
    class Away:
        def __getitem__(self, _alias):
            raise ConnectionError

    monkeypatch.setattr(reissue, "caches", Away())
    reissue._note("digest", "jti")
    assert reissue.token_of("digest") == "jti"
    reissue.forget()
    assert reissue.token_of("digest") is None
