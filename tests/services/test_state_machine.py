"""Random stories, each step compared with a model of what must be true."""

from dataclasses import dataclass, field
from datetime import timedelta
from unittest import mock

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from delegation_app.models import AccessToken, AuditEvent, Delegation, RefreshToken
from delegation_app.services import audit, signing_keys
from delegation_app.services.delegations import revocation
from tests.support.clock import Clock
from tests.support.world import Story, build_world, claims_of

SCOPES = ("read:metrics", "read:profile", "write:alerts")
ACCESS, IDLE, RETRY = (timedelta(seconds=s) for s in (600, 2_592_000, 60))


@dataclass
class Access:
    text: str
    expires: object
    revoked: bool = False


@dataclass
class Grant:
    """What the model knows of one delegation."""

    scope: frozenset
    expires: object
    refresh: list = field(default_factory=list)  # [text, issued, rotated]
    access: list = field(default_factory=list)
    over: bool = False


class Stories(RuleBasedStateMachine):
    """Alice and the web app, at random."""

    def __init__(self):
        super().__init__()
        self.outer = transaction.atomic()
        # As Django's own TestCase marks the transaction around a test
        self.outer._from_testcase = True
        self.outer.__enter__()
        signing_keys.forget()
        self.world = build_world()
        self.story = Story(self.world, self.world.alice)
        self.clock = Clock(timezone.now().replace(microsecond=0) + timedelta(seconds=1))
        self.patch = mock.patch("django.utils.timezone.now", self.clock)
        self.patch.start()
        self.grants = []

    def teardown(self):
        self.patch.stop()
        transaction.set_rollback(True)
        self.outer.__exit__(None, None, None)

    def alive(self, grant):
        return not grant.over and self.clock.time < grant.expires

    def issued(self, grant, response, scope):
        answer = response.json()
        assert set(answer["scope"].split()) == set(scope)
        claims = claims_of(answer["access_token"])
        ends = min(self.clock.time + ACCESS, grant.expires)
        assert claims["exp"] == int(ends.timestamp())
        grant.access.append(Access(answer["access_token"], ends))
        return answer["refresh_token"]

    @rule(scope=st.sets(st.sampled_from(SCOPES), min_size=1))
    def open(self, scope):
        # Her session may have run out.
        self.story.browser.force_login(self.world.alice)
        code = self.story.code(scope=" ".join(scope), prompt="consent")
        grant = Grant(frozenset(scope), self.clock.time + timedelta(days=90))
        text = self.issued(grant, self.story.redeem(code), scope)
        grant.refresh.append([text, self.clock.time, None])
        self.grants.append(grant)

    @precondition(lambda self: self.grants)
    @rule(data=st.data(), scope=st.sets(st.sampled_from(SCOPES)))
    def refresh(self, data, scope):
        grant = data.draw(st.sampled_from(self.grants))
        entry = data.draw(st.sampled_from(grant.refresh[-3:]))
        text, issued, rotated = entry
        wanted = frozenset(scope) or grant.scope
        response = self.story.refresh(text, scope=" ".join(scope) or None)
        is_last = entry is grant.refresh[-1]
        is_previous = len(grant.refresh) > 1 and entry is grant.refresh[-2]
        if not self.alive(grant) or (is_last and self.clock.time >= issued + IDLE):
            assert response.json()["error"] == "invalid_grant"
        elif not (is_last or (is_previous and self.clock.time - rotated < RETRY)):
            # Whatever it asks for
            assert response.json()["error"] == "invalid_grant"
            grant.over = True
        elif not wanted <= grant.scope:
            assert response.json()["error"] == "invalid_scope"
        elif is_last:
            entry[2] = self.clock.time
            successor = self.issued(grant, response, wanted)
            assert successor not in {known[0] for known in grant.refresh}
            grant.refresh.append([successor, self.clock.time, None])
        else:
            assert self.issued(grant, response, wanted) == grant.refresh[-1][0]

    @precondition(lambda self: self.grants)
    @rule(data=st.data())
    def revoke_refresh_token(self, data):
        grant = data.draw(st.sampled_from(self.grants))
        text = data.draw(st.sampled_from(grant.refresh))[0]
        assert self.story.revoke(text).status_code == 200
        grant.over = True

    @precondition(lambda self: self.grants)
    @rule(data=st.data())
    def revoke_access_token(self, data):
        grant = data.draw(st.sampled_from(self.grants))
        access = data.draw(st.sampled_from(grant.access))
        assert self.story.revoke(access.text).status_code == 200
        access.revoked = True

    @precondition(lambda self: self.grants)
    @rule()
    def operator_revokes_everything_of_alice(self):
        revocation.of_user(self.world.alice, audit.RequestContext(actor="user:99"), reason="test")
        for grant in self.grants:
            grant.over = True

    @rule(seconds=st.sampled_from([1, 5, 11, 300, 601, 86_400, 2_592_001, 8_000_000]))
    def time_passes(self, seconds):
        self.clock.forward(seconds=seconds)

    @invariant()
    def introspection_agrees_with_the_model(self):
        for grant in self.grants:
            for access in grant.access[-4:]:
                live = self.clock.time < access.expires and not access.revoked
                expected = self.alive(grant) and live
                assert self.story.is_active(access.text) is expected

    @invariant()
    def every_token_has_one_issued_event_and_every_family_one_leaf(self):
        issued = AuditEvent.objects.filter(
            event__in=["token.issued", "token.refreshed", "token.refresh_retried"]
        )
        jtis = list(issued.values_list("jti", flat=True))
        assert sorted(jtis) == sorted(AccessToken.objects.values_list("jti", flat=True))
        for delegation in Delegation.objects.all():
            leaves = RefreshToken.objects.filter(delegation=delegation, consumed_at=None)
            assert leaves.count() == 1


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("stories", [8, pytest.param(300, marks=pytest.mark.soak)])
def test_stories_when_random_then_every_decision_agrees_with_the_model(stories):
    run_state_machine_as_test(
        Stories,
        settings=settings(
            max_examples=stories,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )
