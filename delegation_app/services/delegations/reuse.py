"""Delegations found by their terms, cut by the blocks of their pair.

A client that acts for itself or exchanges finds its delegations by request: another scope or
another parent finds another record. No other record restores what was revoked or limited on one.
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
    """Annotate rows for `apply_blocks`: whether a block of its pair binds each of them."""
    pair = Q(subject__in=("", OuterRef("subject"))) & Q(
        client_id_value__in=("", OuterRef("delegate_client_id"))
    )
    # A later answer of the user has overcome it; for a child `apply_blocks` decides
    ever = Value(_EVER, output_field=DateTimeField())
    since = Case(When(parent=None, then=Coalesce("allowed_at", ever)), default=ever)
    found = DelegationBlock.objects.active().filter(pair, blocked_at__gte=OuterRef("blocks_since"))
    return rows.annotate(blocks_since=since).annotate(has_blocks=Exists(found))


def apply_blocks(row: Any, origin: audit.RequestContext) -> Delegation | None:
    """Cut a delegation by the blocks of its pair before it is reused.

    Args:
        row: of `with_blocks`, read under the lock of its root.
        origin: the client that requests a token.

    Returns:
        What is left of it; None if it cannot be used.

    Side effects: none without a block; else one statement and, where a part is cut, the rows of its
    subtree and their events.
    """
    return _apply(row, origin) if row.has_blocks else row


def apply_blocks_unless_prompted(row: Delegation, origin: audit.RequestContext) -> Delegation:
    """Cut a delegation without a prompt before its client gets another token on it.

    A delegation that the user created on a screen stands alone until it is revoked itself. One that
    was delegated onward, or created for a trusted client without a prompt, must not restore what
    was blocked for its pair or for a pair above it.

    Args:
        row: as read under the lock of its root.
        origin: the client that requests the token.

    Raises:
        InvalidGrant: nothing is left of it.

    Side effects: none for a prompted delegation; else one statement, and those of
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
    """Cut a delegation and its ancestors by the blocks of their pairs; return whether any was cut.

    A block also binds what other clients hold below the delegations of its pair: the pair can no
    longer give it. A root that the user created on a screen is left alone.

    Args:
        line: of `with_blocks`, root first, read under the lock of the root.
        origin: the client that requests a token on the last of them, or on a child of it.
        refusal: the error class of the grant.

    Raises:
        OAuthError: of the class `refusal`; nothing is left of one of them.

    Side effects: none without a block; else one statement for each delegation that is bound and,
    where a part is cut, the rows of its subtree and their events.
    """
    is_cut = False
    for row in line:
        if not row.has_blocks or _is_on_a_page(row):
            continue
        # A cut above may have narrowed or revoked this one
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


def _apply(row: Delegation, context: audit.RequestContext) -> Delegation | None:
    held = Authority.of(row)
    if row.parent_id is None:
        found = blocks.of_pair(row.subject, row.delegate_client_id, since=row.allowed_at)
    else:
        found = blocks.of_child(row, row.delegate_client_id, held)
    left = blocks.cut(held, found)
    # Tokens issued on it stay as they are: the delegation itself was not revoked
    if left is None or left == held:
        return None if left is None else row
    system = context.acting_as("system")
    bound = blocks.binding(held, found)
    # A partly lifted block is repeated for each resource server
    details = {"blocks": list(dict.fromkeys(str(block.public_id) for block in bound))}
    to = Narrowing(
        scope=None if left.scope == held.scope else left.scope,
        audience=None if left.audience == held.audience else left.audience,
        expires_at=None if left.expires_at == held.expires_at else left.expires_at,
        constraints=left.constraints,
    )
    return narrowing.narrow_row(row, to, system, reason=_REASON, details=details)
