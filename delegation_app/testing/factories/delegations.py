"""Consents and delegations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from factory.declarations import LazyAttribute, Maybe, SelfAttribute, SubFactory

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.grants import token_exchange
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import RedirectTarget
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import new_secret
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.consent import decision, screen
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.delegations import creation
from delegation_app.services.delegations.terms import ChildTerms, SignIn, Terms
from delegation_app.services.transactions import nested
from delegation_app.testing.claims import scope_of
from delegation_app.testing.factories.base import WrittenFactory
from delegation_app.testing.factories.parties import ClientFactory, UserFactory
from delegation_app.testing.tokens import ORIGIN, Where, client_of, identifiers

_WITH_CONSENT: Final = (names.AUTHORIZATION_CODE, names.DEVICE_CODE)

Limits = Constraints | Iterable[Mapping[str, Any]]


class ConsentFactory(WrittenFactory):
    """The consent of a user to everything that a client requests.

    Parameters:
        user: who consents.
        client: the requesting application.
        scopes: names separated by spaces, or an iterable of names; None for all of the client.
        audience: resource servers or their identifiers; None for the client's default.
        constraints: limits as JSON objects, besides those of the client's policy.
        grant_type: `authorization_code` or the device grant; None for the first one that the
            client's policy allows.
        expires_at: the expiry that the user selected, or None.

    Raises:
        InvalidScope, InvalidTarget: the client cannot request this.
        ValueError: the policy of the client has no grant type with consent.

    Side effects: one row, one audit event.
    """

    class Meta:
        model = ConsentRecord

    user = SubFactory(UserFactory)
    client = SubFactory(ClientFactory)
    scopes = None
    audience = None
    constraints = ()
    grant_type = None
    expires_at = None

    @classmethod
    def _make(cls, *, user: Any, grant_type: str | None, **fields: Any) -> ConsentRecord:
        requested = _Requested(**fields)
        with nested():
            return _consent(_request(user, requested, grant_type), requested.expires_at)


class DelegationFactory(WrittenFactory):
    """A live delegation.

    Parameters:
        principal: a user, whose consent is written too, or an application that acts for itself;
            ignored for a child.
        client: the delegate; for a principal that is an application, that application.
        scopes: names separated by spaces, or an iterable of names; None for all of the client, and
            for a child for all that the parent has too.
        audience: resource servers or their identifiers; None for the client's default.
        constraints: limits as JSON objects, besides those of the client's policy.
        expires_at: its expiry; None for that of its policy or its parent, which bounds it anyway.
        parent: the delegation that a token exchange delegates onward to `client`.

    Raises:
        InvalidScope, InvalidTarget, InvalidRequest: the services refuse such a delegation.
        AccessDenied: reissue is blocked for the client, or an operator has to approve it.
        ValueError: the policy of the client has no grant type for it.

    Side effects: one row and one audit event, with a consent two of each; the signal
        `delegation_created` after the commit.
    """

    class Meta:
        model = Delegation

    parent = None
    principal = Maybe("parent", None, SubFactory(UserFactory))
    client = Maybe(
        LazyAttribute(lambda made: hasattr(made.principal, "client_id")),
        SelfAttribute("principal"),
        SubFactory(ClientFactory),
    )
    scopes = None
    audience = None
    constraints = ()
    expires_at = None

    @classmethod
    def _make(cls, *, parent: Delegation | None, principal: Any, **fields: Any) -> Delegation:
        requested = _Requested(**fields)
        with nested():
            if parent is not None:
                return _delegated_onward(parent, requested)
            if hasattr(principal, "client_id"):
                return _own(principal, requested)
            request = _request(principal, requested)
            consent = _consent(request, requested.expires_at)
            origin = ORIGIN.acting_as(request.sign_in.subject)
            return decision.create_delegation(
                request, consent, request.scope, origin, just_allowed=True
            )

    @classmethod
    def tree(cls, depth: int = 3, *, children: int = 1, **root: Any) -> list[Delegation]:
        """Write a delegation with its descendants.

        Each child has its own client and its own resource server.

        Args:
            depth: the number of levels, with the root's.
            children: the number of children above the last level; 1 for a chain.
            root: parameters of the root.

        Returns:
            The delegations, level by level, the root first.

        Raises:
            InvalidRequest: the tree is deeper than MAX_DEPTH.

        Side effects: those of each delegation.
        """
        level: list[Delegation] = [cls.create(**root)]
        tree = list(level)
        for _ in range(depth - 1):
            level = [cls.create(parent=above) for above in level for _ in range(children)]
            tree += level
        return tree


@dataclass(frozen=True, slots=True, kw_only=True)
class _Requested:
    client: Any
    scopes: Any
    audience: Where | None
    constraints: Limits
    expires_at: datetime | None

    def limits(self) -> Constraints:
        if isinstance(self.constraints, Constraints):
            return self.constraints
        return Constraints.parse([dict(members) for members in self.constraints])

    def scope(self, client: RegisteredClient, audience: Audience) -> Scope:
        if self.scopes is None:
            return client.effective_scope(client.policy.scopes, audience)
        return client.scope(str(scope_of(self.scopes)), audience)


def _request(user: Any, requested: _Requested, grant_type: str | None = None) -> ConsentRequest:
    known = client_of(requested.client.client_id)
    grant = _allowed(known, _WITH_CONSENT if grant_type is None else (grant_type,))
    where = known.audience(identifiers(requested.audience))
    return ConsentRequest(
        client=known,
        sign_in=SignIn(user, clock.now().replace(microsecond=0), conf.default_acr),
        scope=requested.scope(known, where),
        audience=where,
        constraints=known.policy.constraints.narrowed(requested.limits()),
        grant_type=grant,
        handle=new_secret(),
        target=None if grant == names.DEVICE_CODE else _target(requested.client),
    )


def _consent(request: ConsentRequest, expires_at: datetime | None) -> ConsentRecord:
    text = decision.locked_screen(request, screen.compose)
    answer = decision.Answer(request.scope, request.client.delegation_lifetime)
    granted = decision.evaluate(request, answer)
    if granted is None:
        raise ValueError("The user has allowed nothing.")
    granted = replace(granted, until=_earliest(granted.until, expires_at))
    origin = ORIGIN.acting_as(request.sign_in.subject)
    return decision.record(request, ConsentRecord.Decision.GRANTED, granted, origin, text)


def _own(principal: Any, requested: _Requested) -> Delegation:
    if principal.client_id != requested.client.client_id:
        raise ValueError("A client grants to itself only: leave out `client`.")
    known = client_of(principal.client_id)
    where = known.audience(identifiers(requested.audience))
    terms = Terms(
        client=known,
        scope=requested.scope(known, where),
        audience=where,
        grant_type=_allowed(known, (names.CLIENT_CREDENTIALS,)),
        constraints=known.policy.constraints.narrowed(requested.limits()),
        expires_at=requested.expires_at,
    )
    return creation.create(terms, ORIGIN.acting_as(known.subject))


def _delegated_onward(parent: Delegation, requested: _Requested) -> Delegation:
    known = client_of(requested.client.client_id)
    where = token_exchange.audience_of(known, (), tuple(identifiers(requested.audience)))
    scope = None if requested.scopes is None else str(scope_of(requested.scopes))
    lifetime = known.policy.delegation_lifetime
    bound = None if lifetime is None else clock.now() + timedelta(seconds=lifetime)
    inherited = parent.constraints.for_child().narrowed(known.policy.constraints)
    terms = ChildTerms(
        parent=parent,
        client=known,
        scope=token_exchange.scope_at(known, scope, parent.scopes, where),
        audience=where,
        grant_type=_allowed(known, (names.TOKEN_EXCHANGE,)),
        constraints=inherited.narrowed(requested.limits()),
        actors=_actors(parent, known),
        expires_at=_earliest(parent.expires_at, bound, requested.expires_at),
    )
    child = creation.delegate_onward(terms, ORIGIN.acting_as(known.subject))
    if child is None:
        raise ValueError("Reissue is blocked for this client: lift the block first.")
    return child


def _actors(parent: Delegation, client: RegisteredClient) -> tuple[dict[str, str], ...]:
    subject = token_exchange.Subject(
        delegation=parent,
        scope=parent.scopes,
        expires_at=parent.expires_at,
        may_act=client_of(parent.delegate_client_id).policy.may_act,
        jti="",
        is_own=parent.delegate_client_id == client.client_id,
    )
    return token_exchange.actors(None, subject, client).chain


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _allowed(client: RegisteredClient, grant_types: tuple[str, ...]) -> str:
    for grant_type in grant_types:
        if client.may_use(grant_type):
            return grant_type
    raise ValueError(f"The policy of the client allows none of {', '.join(grant_types)}.")


def _target(application: Any) -> RedirectTarget:
    return RedirectTarget(application.redirect_uris.split()[0], None, conf.issuer)
