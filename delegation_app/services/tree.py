"""The lock of a tree of delegations."""

from __future__ import annotations

from delegation_app.models import Delegation


def hold(delegation: Delegation) -> None:
    """Lock the root of a delegation until the commit.

    Whoever adds to a tree or ends a part of it comes here first, so nothing is added beside a
    revocation: a plain UPDATE would not wait for those who add. What was read before the lock
    has to be read again.
    """
    Delegation.objects.select_for_update().only("pk").get(public_id=delegation.root_id)
