"""A client that acts for itself: one delegation per terms, stopped and readmitted."""

from datetime import timedelta

import pytest
from django.utils import timezone

from delegation_app.models import AuditEvent, ClientPolicy, Delegation
from delegation_app.services import audit, clients, revoke, standing
from tests.support.world import SERVICE_A

OPERATOR = audit.Origin(actor="user:99")


def only_delegation():
    return Delegation.objects.get()


def test_delegation_when_terms_are_the_same_then_reused_else_another(story):
    story.client_credentials(scope="read:metrics write:alerts")
    story.client_credentials(scope="write:alerts read:metrics")
    assert only_delegation().access_tokens.count() == 2

    story.client_credentials(scope="read:metrics")
    assert Delegation.objects.count() == 2


@pytest.mark.conformance("CC-06")
def test_client_when_an_operator_revoked_it_then_no_token_until_readmitted(story):
    token = story.client_credentials(scope="read:metrics").json()["access_token"]
    revoke.subtree(only_delegation(), OPERATOR, reason="misbehaves")

    assert not story.is_active(token)
    for scope in ("read:metrics", "write:alerts"):
        refused = story.client_credentials(scope=scope)
        assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    assert Delegation.objects.count() == 1

    standing.readmit(clients.find("cron"), OPERATOR)
    assert story.client_credentials(scope="read:metrics").status_code == 200
    assert not story.is_active(token)
    assert AuditEvent.objects.get(event="client.readmitted").actor == "user:99"


def test_client_when_revoked_again_after_readmission_then_stopped_again(story):
    story.client_credentials()
    revoke.subtree(only_delegation(), OPERATOR, reason="once")
    standing.readmit(clients.find("cron"), OPERATOR)
    story.client_credentials()
    revoke.subtree(Delegation.objects.latest("id"), OPERATOR, reason="twice")

    assert story.client_credentials().json()["error"] == "unauthorized_client"


def test_client_without_policy_when_readmitted_then_its_derived_policy_is_kept(story, settings):
    settings.DELEGATION = {**settings.DELEGATION, "DEFAULT_AUDIENCE": SERVICE_A}
    ClientPolicy.objects.all().delete()
    story.client_credentials()
    revoke.subtree(only_delegation(), OPERATOR, reason="misbehaves")
    assert story.client_credentials().status_code == 400

    standing.readmit(clients.find("cron"), OPERATOR)

    assert story.client_credentials().status_code == 200
    assert ClientPolicy.objects.get().application.client_id == "cron"


def test_client_when_it_gave_back_its_own_then_it_may_start_again(story, world):
    story.client_credentials()
    itself = audit.Origin(actor="client:cron")
    revoke.subtree(only_delegation(), itself, reason="done for today")

    assert story.client_credentials().status_code == 200


def test_delegation_when_it_expired_then_another_is_opened(story):
    story.client_credentials()
    past = timezone.now() - timedelta(minutes=1)
    Delegation.objects.update(issued_at=past - timedelta(days=1), expires_at=past)

    assert story.client_credentials().status_code == 200
    assert Delegation.objects.count() == 2
