"""Enforcing the constraints of delegations where tokens are issued and judged."""

from __future__ import annotations

from django.db.models import F

from delegation_app import clock
from delegation_app.models import Delegation
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Access, Constraints, Moment, parse_text
from delegation_app.protocol.constraints.unreadable import Unreadable
from delegation_app.protocol.errors import InvalidRequest, InvalidTarget, OAuthError
from delegation_app.services.audit import Origin
from delegation_app.services.clients import Client
from delegation_app.services.terms import Terms


def enforce(
    delegation: Delegation,
    audience: Audience,
    origin: Origin,
    moment: Moment,
    *,
    refusal: type[OAuthError],
) -> None:
    """Refuse what a constraint of `delegation` does not permit now.

    Args:
        delegation: its list of constraints holds those of all its ancestors.
        audience: where the token is to be valid.
        origin: whoever asks; their address is judged.
        moment: what is about to happen.
        refusal: the error of the grant that asks.

    Raises:
        OAuthError: of the class `refusal`; it says which limit it was.
    """
    access = Access(moment, clock.now(), ip=origin.ip, audience=audience, uses=delegation.uses)
    error = _judged(delegation.constraints, access, refusal)
    if error is not None:
        error.about = delegation
        raise error


def enforce_new(terms: Terms, origin: Origin, *, refusal: type[OAuthError]) -> OAuthError | None:
    """Return the refusal of a token on a delegation that is not opened yet; see `enforce`.

    One that is opened first and refused then would be named in the audit trail, and be gone.
    """
    now = clock.now()
    access = Access(Moment.ISSUE, now, ip=origin.ip, audience=terms.audience, uses=0)
    return _judged(terms.constraints, access, refusal)


def _judged(
    constraints: Constraints, access: Access, refusal: type[OAuthError]
) -> OAuthError | None:
    reason = constraints.refusal(access)
    return None if reason is None else refusal(reason, detail=f"constraint: {reason}")


def asked_for(client: Client, text: str | None) -> Constraints:
    """Return the constraints that a request brings in its parameter `constraints`.

    Raises:
        InvalidRequest: the client's policy does not let it ask, or it is malformed.
    """
    if text is None:
        return Constraints()
    if not client.policy.may_ask_for_constraints:
        raise InvalidRequest("This client may not ask for constraints.")
    return parse_text(text)


def of_request(client: Client, text: str | None, audience: Audience) -> Constraints:
    """Return the constraints of what is opened on a request: the policy's and the request's.

    Raises:
        InvalidRequest: as `asked_for`, or the two have nothing in common, or those of the policy
            can't be read.
        InvalidTarget: the policy's constraints leave out the audience.
    """
    constraints = client.policy.constraints.narrowed(asked_for(client, text))
    # Nobody shall be asked for what could never be used
    if constraints.get(Unreadable.TYPE) is not None:
        raise InvalidRequest("The limits of this client can not be read.", detail="policy")
    refuse_unreachable(constraints, audience)
    return constraints


def check_reach(delegation: Delegation, audience: Audience) -> None:
    """Refuse an audience that a delegation may not reach.

    Raises:
        InvalidTarget: the constraint `resource_servers` leaves it out (RFC 8707 section 2).
    """
    try:
        refuse_unreachable(delegation.constraints, audience)
    except InvalidTarget as error:
        error.about = delegation
        raise


def refuse_unreachable(constraints: Constraints, audience: Audience) -> None:
    """Refuse an audience that constraints leave out.

    Raises:
        InvalidTarget: the constraint `resource_servers` does (RFC 8707 section 2).
    """
    reach = constraints.get("resource_servers")
    access = Access(Moment.HAND_ON, clock.now(), audience=audience)
    reason = None if reach is None else reach.refusal(access)
    if reason is not None:
        raise InvalidTarget(reason)


def spend(delegation: Delegation, *, refusal: type[OAuthError]) -> None:
    """Count one token on a delegation and on all above it that have a limit.

    Raises:
        OAuthError: of the class `refusal`; one of them is used up, and none was counted if the
            caller's transaction is rolled back.

    Side effects: up to one row for each ancestor, nothing where nobody set a limit. Call it
    inside a transaction that holds the root.
    """
    if delegation.max_uses is None:
        return
    limited = Delegation.objects.filter(public_id__in=delegation.chain, max_uses__isnull=False)
    # Who sets a limit sets it for all below: from the first of them on, each has one.
    counted = limited.filter(uses__lt=F("max_uses")).update(uses=F("uses") + 1)
    if counted != limited.count():
        error = refusal("All tokens that this delegation allows were issued.")
        error.about = delegation
        raise error
