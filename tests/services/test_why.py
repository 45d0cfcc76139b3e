"""“Why” says active exactly when introspection does, whatever happened to the token."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from delegation_app.models import (
    AccessToken,
    AuditEvent,
    ClientPolicy,
    Delegation,
    RefreshToken,
    ResourceServer,
)
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit, signing_keys
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.reporting import explanation
from tests.support.world import SERVICE_B, SERVICE_C, claims_of, delegation_of

NOW = "2026-01-01T00:00:00Z"


class Tree:
    """Web for alice at A, handed on to A's client at B and to B's client at C."""

    def __init__(self, story):
        self.story = story
        self.first = story.tokens()
        self.second = story.exchange(self.first["access_token"]).json()
        self.third = story.exchange(
            self.second["access_token"], story.world.service_b_client, audience=SERVICE_C
        ).json()
        self.root, self.leaf = delegation_of(self.first), delegation_of(self.third)


@pytest.fixture
def tree(story):
    return Tree(story)


def policy(client_id):
    return ClientPolicy.objects.filter(application__client_id=client_id)


def expire(model):
    def act(_tree):
        now = timezone.now()
        earlier = now - timedelta(hours=1)
        changes = {"expires_at": now, "issued_at": earlier}
        model.objects.update(**changes)

    return act


def revoked_root(tree):
    revocation.subtree(tree.root, audit.RequestContext(), reason="broken into")


def narrowed(tree):
    creation.narrow(
        tree.root, Narrowing(scope=Scope(["read:metrics"])), audit.RequestContext(), reason="x"
    )


DEEDS = {
    "nothing": lambda tree: None,
    "root revoked": revoked_root,
    "leaf revoked": lambda tree: revocation.subtree(tree.leaf, audit.RequestContext(), reason="x"),
    "tokens revoked": lambda tree: AccessToken.objects.update(revoked_at=timezone.now()),
    "tokens expired": expire(AccessToken),
    "refresh tokens expired": expire(RefreshToken),
    "delegations expired": expire(Delegation),
    "refreshed": lambda tree: tree.story.refresh(tree.first["refresh_token"]),
    "narrowed": narrowed,
    "person disabled": lambda tree: get_user_model().objects.update(is_active=False),
    "person deleted": lambda tree: tree.story.world.alice.delete(),
    "own client disabled": lambda tree: policy("web").update(enabled=False),
    "client in the middle disabled": lambda tree: policy("service-a").update(enabled=False),
    "client deleted": lambda tree: tree.story.world.web.row.delete(),
    "policy empty": lambda tree: ClientPolicy.objects.update(scopes=""),
    "service off": lambda tree: ResourceServer.objects.filter(identifier=SERVICE_B).update(
        active=False
    ),
    "audience taken": lambda tree: policy("service-b").get().audiences.clear(),
    "out of hours": lambda tree: Delegation.objects.update(
        constraints=Constraints.parse([{"type": "time_window", "not_after": NOW}])
    ),
    "keys lost": lambda tree: (
        signing_keys.rotate(audit.RequestContext(), withdraw=True),
        signing_keys.forget(),
    ),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_why_when_anything_happens_then_it_agrees_with_introspection(tree, deed):
    DEEDS[deed](tree)
    told = []
    for token in (
        tree.first["access_token"],
        tree.second["access_token"],
        tree.third["access_token"],
        tree.first["refresh_token"],
        tree.first["access_token"][:-1] + "~",
    ):
        found = explanation.explain(token)
        active = tree.story.is_active(token, tree.story.world.operator_tool)
        assert found.active is active, found
        assert active is all(step.passed for step in found.steps), found
        assert not found.active or found.conclusion.startswith("The token is active")
        assert token not in repr(found)
        told.append(active)
    assert told[-1] is False
    assert (told == [True, True, True, True, False]) is (deed in {"nothing", "narrowed"})


def test_why_when_a_client_above_is_disabled_then_that_step_and_no_other_failed(tree):
    policy("service-a").update(enabled=False)
    found = explanation.explain(f"Bearer {tree.third['access_token']}\n")
    [failed] = [step for step in found.steps if not step.passed]
    assert failed.text == "service-a is disabled."
    assert failed.evidence == (delegation_of(tree.second),)
    assert found.conclusion == f"The token is refused. {failed.text}"


def test_why_when_it_was_revoked_above_then_the_event_and_its_reason_prove_it(tree):
    revoked_root(tree)
    found = explanation.explain(claims_of(tree.third["access_token"])["jti"])
    failed = next(step for step in found.steps if not step.passed)
    assert "by system: broken into" in failed.text
    assert AuditEvent.objects.get(event="delegation.revoked") in failed.evidence
    assert {event.event for event in found.events} == {"token.exchanged"}


def test_why_when_an_opaque_token_is_good_then_its_id_and_its_text_say_the_same(story):
    ResourceServer.objects.update(token_format="opaque")
    token = story.tokens()["access_token"]
    jti = AccessToken.objects.get().jti
    assert explanation.explain(token).active is explanation.explain(jti).active is True
    assert story.is_active(token)


def test_why_when_it_is_a_request_then_the_private_detail_is_told(story):
    refused = story.post(
        "/oauth/token",
        {"grant_type": "authorization_code", "code": "x" * 43, "code_verifier": "y" * 43},
        story.world.web,
    )
    assert refused.status_code == 400
    found = explanation.explain(refused["X-Request-Id"])
    [event] = found.events
    assert found.active is None
    assert event.details["detail"].rstrip(".") in found.conclusion
    assert "invalid_grant" in found.conclusion


def test_why_when_it_is_an_authorization_code_then_it_says_so(story):
    found = explanation.explain(story.code())
    assert found.what == "An authorization code, which is not a token"
    assert found.active is False


@pytest.mark.parametrize("text", ["nobody-knows", "a.b.c", "x" * 43, "x" * 54, "\x00", "é" * 9000])
def test_why_when_nothing_is_known_then_it_says_so(db, text):
    found = explanation.explain(text)
    assert not found.active
    assert found.delegation is None
