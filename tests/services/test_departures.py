"""A deleted person or client takes what hangs on it along; the records stay."""

import pytest

from delegation_app.models import AuditEvent, ConsentRecord, Delegation
from tests.support.world import delegation_of


def test_person_when_deleted_then_delegations_end_and_still_name_them(story, world):
    tokens = story.tokens()
    subject = f"user:{world.alice.pk}"

    world.alice.delete()

    delegation = delegation_of(tokens)
    assert delegation.revoked_at is not None
    assert (delegation.principal_user, delegation.subject) == (None, subject)
    assert ConsentRecord.objects.get().subject == subject
    assert not story.is_active(tokens["access_token"])
    assert AuditEvent.objects.filter(event="delegation.revoked", subject=subject).count() == 1


@pytest.mark.parametrize("name", ["web", "cron"])
def test_client_when_deleted_then_delegations_end_and_still_name_it(story, world, name):
    app = getattr(world, name)
    if name == "cron":
        token = story.client_credentials().json()["access_token"]
    else:
        token = story.tokens()["access_token"]

    app.row.delete()

    delegation = Delegation.objects.get()
    assert delegation.revoked_at is not None
    assert (delegation.delegate, delegation.delegate_client_id) == (None, name)
    assert not story.is_active(token)


def test_people_when_deleted_in_bulk_then_the_same(story, world):
    tokens = story.tokens()

    type(world.alice).objects.all().delete()

    assert delegation_of(tokens).revoked_at is not None


def test_delegation_when_its_person_is_gone_but_nobody_revoked_it_then_it_is_not_in_force(story):
    tokens = story.tokens()
    # As it would be if the person consented while they were being deleted
    Delegation.objects.update(principal_user=None)
    assert not Delegation.objects.live().exists()
    assert not story.is_active(tokens["access_token"])
    assert story.refresh(tokens["refresh_token"]).status_code == 400
    assert story.exchange(tokens["access_token"]).status_code == 400
