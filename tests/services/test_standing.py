"""A client that acts for itself: one delegation per terms, blocked and unblocked."""

from datetime import timedelta

import pytest
from django.utils import timezone

from delegation_app.models import AuditEvent, Delegation
from delegation_app.services import audit
from delegation_app.services.delegations import blocks, revocation

OPERATOR = audit.RequestContext(actor="user:99")


def lift():
    assert blocks.lift_all("client:cron", "cron", OPERATOR, reason="mended") == 1


def only_delegation():
    return Delegation.objects.get()


def test_delegation_when_terms_are_the_same_then_reused_else_another(story):
    story.client_credentials(scope="read:metrics write:alerts")
    story.client_credentials(scope="write:alerts read:metrics")
    assert only_delegation().access_tokens.count() == 2

    story.client_credentials(scope="read:metrics")
    assert Delegation.objects.count() == 2


@pytest.mark.conformance("CC-06")
def test_client_when_an_operator_revoked_it_then_no_token_until_the_block_is_lifted(story):
    token = story.client_credentials(scope="read:metrics").json()["access_token"]
    revocation.subtree(only_delegation(), OPERATOR, reason="misbehaves")

    assert not story.is_active(token)
    for scope in ("read:metrics", "write:alerts"):
        refused = story.client_credentials(scope=scope)
        assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    assert Delegation.objects.count() == 1

    lift()
    assert story.client_credentials(scope="read:metrics").status_code == 200
    assert not story.is_active(token)
    assert AuditEvent.objects.get(event="block.lifted").actor == "user:99"


def test_client_when_revoked_again_after_a_lift_then_stopped_again(story):
    story.client_credentials()
    revocation.subtree(only_delegation(), OPERATOR, reason="once")
    lift()
    story.client_credentials()
    revocation.subtree(Delegation.objects.latest("id"), OPERATOR, reason="twice")

    assert story.client_credentials().json()["error"] == "unauthorized_client"


def test_client_when_it_gave_back_its_own_then_it_may_start_again(story, world):
    story.client_credentials()
    itself = audit.RequestContext(actor="client:cron")
    revocation.subtree(only_delegation(), itself, reason="done for today")

    assert story.client_credentials().status_code == 200


def test_delegation_when_it_expired_then_another_is_opened(story):
    story.client_credentials()
    past = timezone.now() - timedelta(minutes=1)
    Delegation.objects.update(issued_at=past - timedelta(days=1), expires_at=past)

    assert story.client_credentials().status_code == 200
    assert Delegation.objects.count() == 2
