"""The locks of trees of delegations."""

from __future__ import annotations

from delegation_app.models import Delegation


def lock_root(*delegations: Delegation) -> None:
    """Lock the roots of delegations until the commit, always in the same order.

    Whoever adds to a tree or ends a part of it comes here first, so nothing is added beside a
    revocation: a plain UPDATE would not wait for those who add. What was read before the lock
    has to be read again.
    """
    roots = Delegation.objects.filter(public_id__in={row.root_id for row in delegations})
    list(roots.select_for_update().order_by("public_id").values_list("pk"))
