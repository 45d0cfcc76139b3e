"""Exchanging a token for one of a child delegation (RFC 8693)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import TOKEN_EXCHANGED, TOKEN_IMPERSONATED
from delegation_app.models import Delegation
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import InvalidRequest, InvalidScope, InvalidTarget
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import new_secret
from delegation_app.services import audit
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.delegations import creation, enforcement
from delegation_app.services.delegations.terms import ChildTerms
from delegation_app.services.tokens import exchange_parties, issuing
from delegation_app.services.tokens.exchange_parties import Actors, Subject, TypedToken
from delegation_app.services.transactions import durable


@dataclass(frozen=True, slots=True)
class ExchangeRequest:
    """What a client sends to exchange a token.

    Attributes:
        subject: the token whose authority is handed on.
        actor: the token of whoever shall act; None for the client itself.
        requested_type: the type of token that is wanted.
        audiences, resources: the values of `audience` and `resource`.
        scope: the value of `scope`, or None.
        constraints: what the client itself narrows it by.
    """

    subject: TypedToken
    actor: TypedToken | None
    requested_type: str
    audiences: tuple[str, ...]
    resources: tuple[str, ...]
    scope: str | None
    constraints: Constraints


@dataclass(frozen=True, slots=True)
class _Judged:
    """Who takes part in an exchange, and what the child shall hold."""

    subject: Subject
    actors: Actors
    terms: ChildTerms

    @property
    def presented(self) -> dict[str, Delegation]:
        """The delegations of the access tokens that were presented, by token id."""
        found = {self.subject.jti: self.subject.delegation} if self.subject.jti else {}
        if (actor := self.actors.presented) is not None:
            found[actor.jti] = actor.delegation
        return found


def exchange(
    wanted: ExchangeRequest, client: RegisteredClient, origin: audit.RequestContext
) -> issuing.Issued:
    """Hand on the authority behind a token, and issue a token for it.

    Raises:
        InvalidRequest: the subject or actor token is not valid or not for this client, or the
            authority may not be handed on (RFC 8693 section 2.2.2).
        InvalidTarget: a target is unknown or may not be had.
        InvalidScope: more than is held, or nothing that the targets know.

    Side effects: those of `creation.delegate_onward`, one or two token rows and one audit event.
    """
    subject = exchange_parties.subject(wanted.subject, client)
    try:
        return _issue(wanted, _judged(wanted, subject, client), client, origin)
    except (InvalidRequest, InvalidTarget, InvalidScope) as error:
        # The audit trail tells whose authority was asked for. A child that was refused as soon as
        # it was opened was rolled back, and its key may become another one's.
        error.about = subject.delegation
        raise


def _judged(wanted: ExchangeRequest, subject: Subject, client: RegisteredClient) -> _Judged:
    actors = exchange_parties.actors(wanted.actor, subject, client)
    audience = exchange_parties.audience_of(client, wanted.audiences, wanted.resources)
    # A client that goes further than it was allowed to would need to ask the person again.
    if subject.is_own and not audience <= subject.delegation.audience:
        raise InvalidTarget("A client cannot extend its own reach.")
    enforcement.check_reach(subject.delegation, audience)
    scope = exchange_parties.scope_at(client, wanted.scope, subject.scope, audience)
    if wanted.requested_type == names.JWT and client.wants_opaque(audience):
        raise InvalidRequest("Tokens for this audience are opaque.")
    terms = _terms(wanted, subject, actors, client, scope, audience)
    return _Judged(subject, actors, terms)


def _terms(  # noqa: PLR0917 - what the checks above have found, one by one
    wanted: ExchangeRequest,
    subject: Subject,
    actors: Actors,
    client: RegisteredClient,
    scope: Scope,
    audience: Audience,
) -> ChildTerms:
    inherited = subject.delegation.constraints.for_child()
    constraints = inherited.narrowed(client.policy.constraints).narrowed(wanted.constraints)
    enforcement.refuse_unreachable(constraints, audience)
    return ChildTerms(
        parent=subject.delegation,
        client=client,
        scope=scope,
        audience=audience,
        grant_type=names.TOKEN_EXCHANGE,
        constraints=constraints,
        actors=actors.chain,
        expires_at=_ends(subject.delegation, client),
    )


def _ends(parent: Delegation, client: RegisteredClient) -> datetime | None:
    # Like its parent, unless the operator wants this client's authority to end before
    seconds = client.policy.delegation_lifetime
    if seconds is None:
        return parent.expires_at
    ends = clock.now() + timedelta(seconds=seconds)
    return ends if parent.expires_at is None else min(ends, parent.expires_at)


@durable
def _issue(
    wanted: ExchangeRequest, judged: _Judged, client: RegisteredClient, origin: audit.RequestContext
) -> issuing.Issued:
    child, judged = _child(wanted, judged, client, origin)
    subject, actors, terms = judged.subject, judged.actors, judged.terms
    view = issuing.within(issuing.TokenGrant(child, client, terms.scope, terms.audience))
    # RFC 8693 section 2.2.1: a refresh token only where the subject may be gone by then
    renewable = client.policy.may_refresh_exchanged_tokens and client.may_use(names.REFRESH_TOKEN)
    renewal = issuing.renewal(view, new_secret()) if renewable else None
    manner = issuing.IssueOptions(
        event=TOKEN_IMPERSONATED if actors.impersonated else TOKEN_EXCHANGED,
        refusal=InvalidRequest,
        not_after=subject.expires_at,
        token_type=wanted.requested_type,
        details={"subject_jti": subject.jti, "chain": child.chain, "actors": child.actors},
    )
    return issuing.issue(view, origin, manner, renewal=renewal)


def _child(
    wanted: ExchangeRequest, judged: _Judged, client: RegisteredClient, origin: audit.RequestContext
) -> tuple[Delegation, _Judged]:
    """Return the child, and what was judged again where a part of its parent was cut meanwhile."""
    # A round that cuts leaves nothing to cut. Only where a constraint of the site's own narrows to
    # something else each time would there be no end, under the lock of the root.
    for _round in range(conf.max_depth + 1):
        # Valid when they were read, but maybe not after the wait for the locks
        child = creation.delegate_onward(judged.terms, origin, judged.presented)
        if child is not None:
            return child, judged
        # Of what is left, the client may stand in nothing any more
        judged = _judged(wanted, exchange_parties.subject(wanted.subject, client), client)
    raise InvalidRequest(
        "The subject token cannot be exchanged.",
        detail="its constraints are different each time they are narrowed",
    )
