"""What must always hold of a delegation is held by the database."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from delegation_app.models import Delegation
from tests.support.world import delegation_of


def copy_of(delegation, **changes):
    now = timezone.now()
    values = {
        "principal_user": delegation.principal_user,
        "subject": delegation.subject,
        "delegate": delegation.delegate,
        "delegate_client_id": delegation.delegate_client_id,
        "scopes": delegation.scopes,
        "audience": delegation.audience,
        "grant_type": delegation.grant_type,
        "terms_digest": delegation.terms_digest,
        "issued_at": now,
        **changes,
    }
    return Delegation(**values)


@pytest.fixture
def root(story):
    return delegation_of(story.tokens())


@pytest.mark.parametrize(
    "change",
    [
        lambda row: {"principal_client": row.delegate},
        lambda row: {"expires_at": timezone.now() - timedelta(hours=1)},
        lambda row: {"revoked_at": timezone.now()},
        lambda row: {"revoked_by": "user:1"},
        lambda row: {"public_id": row.public_id},
    ],
    ids=["two principals", "expires before issue", "revoked by nobody", "not revoked", "same id"],
)
def test_delegation_when_it_contradicts_itself_then_the_database_refuses(root, change):
    with pytest.raises(IntegrityError), transaction.atomic():
        copy_of(root, **change(root)).save()


@pytest.mark.parametrize("depth", [0, 1])
def test_delegation_when_its_depth_contradicts_its_parent_then_the_database_refuses(root, depth):
    row = copy_of(root, parent=None if depth else root)
    row.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        Delegation.objects.filter(pk=row.pk).update(depth=depth)


def test_delegation_when_saved_then_it_knows_its_place(root):
    child = copy_of(root, parent=root)
    child.save()
    grandchild = copy_of(root, parent=child)
    grandchild.save()

    assert (root.root_id, root.depth, root.path) == (root.public_id, 0, f"/{root.public_id.hex}/")
    assert (grandchild.root_id, grandchild.depth) == (root.public_id, 2)
    assert grandchild.path == f"{root.path}{child.public_id.hex}/{grandchild.public_id.hex}/"
    assert set(Delegation.objects.subtree(root)) == {root, child, grandchild}
    assert set(Delegation.objects.subtree(child)) == {child, grandchild}


def test_delegations_when_expired_revoked_or_of_somebody_disabled_then_not_live(root, story):
    now = timezone.now()
    assert list(Delegation.objects.live()) == [root]
    assert list(Delegation.objects.live(now + timedelta(days=91))) == []

    story.world.alice.is_active = False
    story.world.alice.save()
    assert list(Delegation.objects.live()) == []
