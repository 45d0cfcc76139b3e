"""Delegations that are found by their terms, cut by what was taken from the pair.

A client that acts for itself, or exchanges, finds its delegations by asking: another scope string,
another parent, and it has another record. None of them gives back what was taken from one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Case, DateTimeField, Exists, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce

from delegation_app.models import Delegation, DelegationBlock
from delegation_app.protocol.errors import InvalidGrant, OAuthError
from delegation_app.services import audit
from delegation_app.services.delegations import blocks, narrowing
from delegation_app.services.delegations.blocks import Authority
from delegation_app.services.delegations.narrowing import Narrowing

_REASON: Final = "taken from the client before"
_EVER: Final = datetime(1, 1, 2, tzinfo=UTC)


def with_blocks(rows: QuerySet[Delegation]) -> QuerySet[Any]:
    """Return rows that `apply_blocks` can judge: whether a block of its pair binds each of them."""
    pair = Q(subject__in=("", OuterRef("subject"))) & Q(
        client_id_value__in=("", OuterRef("delegate_client_id"))
    )
    # What the user allowed on a page later has overcome it; for a child `apply_blocks` looks closer
    ever = Value(_EVER, output_field=DateTimeField())
    since = Case(When(parent=None, then=Coalesce("allowed_at", ever)), default=ever)
    found = DelegationBlock.objects.active().filter(pair, blocked_at__gte=OuterRef("blocks_since"))
    return rows.annotate(blocks_since=since).annotate(has_blocks=Exists(found))


def apply_blocks(row: Any, origin: audit.RequestContext) -> Delegation | None:
    """Cut a delegation by the blocks of its pair before it is used again.

    Args:
        row: of `with_blocks`, read under the lock of its root.
        origin: the client that requests a token.

    Returns:
        What is left of it; None if it cannot be used.

    Side effects: nothing where no block binds it; else one statement, and where a part is cut, the
    rows of its subtree and their events.
    """
    return _apply(row, origin) if row.has_blocks else row


def apply_blocks_unless_prompted(row: Delegation, origin: audit.RequestContext) -> Delegation:
    """Cut a delegation that no page created before its client gets another token on it.

    A delegation that the user opened on a page is a record of its own: it goes on until it is
    taken itself. One that was delegated onward, or that a trusted client got without a page, must
    not give back what was taken from another one of the pair, nor from a pair above it.

    Args:
        row: as read under the lock of its root.
        origin: the client that requests the token.

    Raises:
        InvalidGrant: nothing is left of it.

    Side effects: nothing for what a page opened; else one statement, and those of
    `apply_blocks_to_line`.
    """
    if _is_on_a_page(row):
        return row
    line = with_blocks(Delegation.objects.filter(public_id__in=row.chain).order_by("depth"))
    if not apply_blocks_to_line(line, origin, refusal=InvalidGrant):
        return row
    left = Delegation.objects.live().filter(pk=row.pk).first()
    if left is None:
        raise _refusal(row, InvalidGrant)
    return left


def apply_blocks_to_line(
    line: Iterable[Any], origin: audit.RequestContext, *, refusal: type[OAuthError]
) -> bool:
    """Cut a delegation and those above it by the blocks of their pairs; return whether any was.

    A block reaches what other clients hold through the records of its pair: that cannot
    be obtained from the pair any more. A root that the user opened on a page is left as it is.

    Args:
        line: of `with_blocks`, from the root down, read under the lock of the root.
        origin: the client that requests a token on the last of them, or on a child of it.
        refusal: the error of the grant.

    Raises:
        OAuthError: of the class `refusal`; nothing is left of one of them.

    Side effects: nothing where no block binds them; else one statement for each that is bound, and
    where a part is cut, the rows of its subtree and their events.
    """
    is_cut = False
    for row in line:
        if not row.has_blocks or _is_on_a_page(row):
            continue
        # A cut above has narrowed or ended this one too
        current = Delegation.objects.live().filter(pk=row.pk).first() if is_cut else row
        left = None if current is None else _apply(current, origin)
        if left is None:
            raise _refusal(row, refusal)
        is_cut = is_cut or left is not current
    return is_cut


def _is_on_a_page(row: Delegation) -> bool:
    return row.parent_id is None and row.allowed_at is not None


def _refusal(row: Delegation, refusal: type[OAuthError]) -> OAuthError:
    message = "This was taken from the client."
    return refusal(message, detail="a block binds the pair", about=row)


def _apply(row: Delegation, origin: audit.RequestContext) -> Delegation | None:
    held = Authority.of(row)
    if row.parent_id is None:
        found = blocks.of_pair(row.subject, row.delegate_client_id, since=row.allowed_at)
    else:
        found = blocks.of_child(row, row.delegate_client_id, held)
    left = blocks.cut(held, found)
    # What was issued on it already stays as it is: it was not taken itself
    if left is None or left == held:
        return None if left is None else row
    system = origin.acting_as("system")
    bound = blocks.binding(held, found)
    # A block that was given back in part is there once for each place
    details = {"blocks": list(dict.fromkeys(str(block.public_id) for block in bound))}
    to = Narrowing(
        scope=None if left.scope == held.scope else left.scope,
        audience=None if left.audience == held.audience else left.audience,
        expires_at=None if left.expires_at == held.expires_at else left.expires_at,
        constraints=left.constraints,
    )
    return narrowing.narrow_row(row, to, system, reason=_REASON, details=details)
