"""Enforcement of the constraints of delegations where tokens are issued and judged."""

from __future__ import annotations

from django.db.models import F, QuerySet, Sum

from delegation_app import clock
from delegation_app.models import Delegation
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import (
    AccessContext,
    Constraints,
    EnforcementPoint,
    parse_text,
)
from delegation_app.protocol.constraints.unreadable import UnreadableConstraint
from delegation_app.protocol.errors import InvalidRequest, InvalidTarget, OAuthError
from delegation_app.services.audit import RequestContext
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.delegations.terms import Terms, most_uses
from delegation_app.services.transactions import advisory_lock


def enforce(
    delegation: Delegation,
    audience: Audience,
    origin: RequestContext,
    moment: EnforcementPoint,
    *,
    refusal: type[OAuthError],
    is_counted: bool = True,
) -> None:
    """Refuse what the constraints of `delegation` do not permit now.

    Args:
        delegation: the delegation, whose constraints include those of all its ancestors.
        audience: the resource servers of the token.
        origin: the origin of the request; its address is judged.
        moment: the operation under judgement.
        refusal: the error class of the grant.
        is_counted: whether a token counts as a use.

    Raises:
        OAuthError: of the class `refusal`, with the constraint that refuses.
    """
    uses = delegation.uses if is_counted else max(delegation.uses - 1, 0)
    access = AccessContext(moment, clock.now(), ip=origin.ip, audience=audience, uses=uses)
    error = _judged(delegation.constraints, access, refusal)
    if error is not None:
        error.about = delegation
        raise error


def enforce_new(
    terms: Terms, origin: RequestContext, *, refusal: type[OAuthError]
) -> OAuthError | None:
    """Return the refusal of a token on a delegation that does not exist yet; see `enforce`.

    A refusal after the creation would leave an audit event about a delegation that is rolled back.
    """
    now = clock.now()
    uses = 0 if most_uses(terms.constraints) is None else uses_of_pair(terms)
    access = AccessContext(
        EnforcementPoint.ISSUE, now, ip=origin.ip, audience=terms.audience, uses=uses
    )
    return _judged(terms.constraints, access, refusal)


def _judged(
    constraints: Constraints, access: AccessContext, refusal: type[OAuthError]
) -> OAuthError | None:
    reason = constraints.refusal(access)
    return None if reason is None else refusal(reason, detail=f"constraint: {reason}")


def requested_constraints(client: RegisteredClient, text: str | None) -> Constraints:
    """Return the constraints in the request parameter `constraints`.

    Raises:
        InvalidRequest: the client's policy does not allow the parameter, or it is malformed.
    """
    if text is None:
        return Constraints()
    if not client.policy.may_request_constraints:
        raise InvalidRequest("This client may not ask for constraints.")
    return parse_text(text)


def of_request(client: RegisteredClient, text: str | None, audience: Audience) -> Constraints:
    """Return the constraints of a new delegation: the policy's and the request's.

    Raises:
        InvalidRequest: see `requested_constraints`; or the two contradict each other, or the
            policy's are unreadable.
        InvalidTarget: the policy's constraints exclude the audience.
    """
    constraints = client.policy.constraints.narrowed(requested_constraints(client, text))
    # No user is prompted for a delegation that could never be used
    if constraints.get(UnreadableConstraint.TYPE) is not None:
        raise InvalidRequest("The limits of this client cannot be read.", detail="policy")
    refuse_unreachable(audience, constraints)
    return constraints


def refuse_unreachable(audience: Audience, *limits: Constraints) -> None:
    """Refuse an audience that any of several sets of constraints excludes.

    Raises:
        InvalidTarget: the constraint `resource_servers` excludes it (RFC 8707 section 2).
    """
    access = AccessContext(EnforcementPoint.HAND_ON, clock.now(), audience=audience)
    for constraints in limits:
        reach = constraints.get("resource_servers")
        reason = None if reach is None else reach.refusal(access)
        if reason is not None:
            raise InvalidTarget(reason)


def count_token(delegation: Delegation, *, refusal: type[OAuthError]) -> None:
    """Count one token on a delegation and on all of its ancestors that have a limit.

    A limit belongs to the pair: a delegation with other terms, or one without a prompt, continues
    the count.

    Args:
        delegation: the delegation of the token.
        refusal: the error class of the grant.

    Raises:
        OAuthError: of the class `refusal`; a limit is reached. The rollback of the caller's
            transaction undoes the other counts.

    Side effects: up to one row for each ancestor, none without a limit; waits for other limited
    tokens of the same principal. Call it inside a transaction that holds the root.
    """
    if delegation.max_uses is None:
        return
    advisory_lock(f"uses of {delegation.subject}")
    limited = Delegation.objects.filter(public_id__in=delegation.chain, max_uses__isnull=False)
    rows = list(limited)
    if any(uses_of_pair(row) >= (row.max_uses or 0) for row in rows):
        raise refusal("All tokens that this delegation allows were issued.", about=delegation)
    limited.update(uses=F("uses") + 1)


def uses_of_pair(row: Delegation | Terms) -> int:
    """Return how many tokens a pair was issued since the user's last answer.

    One statement, reads only.

    Args:
        row: a delegation of the pair, or the terms of a root that does not exist yet.
    """
    rows = Delegation.objects.filter(
        subject=row.subject, allowed_at=row.allowed_at, max_uses__isnull=False
    )
    if not isinstance(row, Delegation):
        return _sum(rows.filter(delegate_client_id=row.client.client_id))
    # A token of a descendant counts on its ancestors as well
    rows = rows.filter(delegate_client_id=row.delegate_client_id)
    rows = rows.exclude(public_id__in=row.chain).exclude(
        root__public_id=row.root_id, path__startswith=row.path
    )
    return row.uses + _sum(rows)


def _sum(rows: QuerySet[Delegation]) -> int:
    return rows.order_by().aggregate(total=Sum("uses"))["total"] or 0
