"""Consents, and the delegations that stand on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from factory.declarations import LazyAttribute, Maybe, SelfAttribute, SubFactory

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.grants import token_exchange
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol import names
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import digest, new_secret
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.consent import decision, screen
from delegation_app.services.consent.request import ON_A_DEVICE, ConsentRequest
from delegation_app.services.delegations import creation
from delegation_app.services.delegations.terms import ChildTerms, SignIn, Terms
from delegation_app.services.transactions import nested
from delegation_app.testing.claims import scope_of
from delegation_app.testing.factories.base import WrittenFactory
from delegation_app.testing.factories.parties import ClientFactory, UserFactory
from delegation_app.testing.tokens import ORIGIN, Where, client_of, identifiers

_ASKING: Final = (names.AUTHORIZATION_CODE, names.DEVICE_CODE)

Limits = Constraints | Iterable[Mapping[str, Any]]


class ConsentFactory(WrittenFactory):
    """The answer of a user who has allowed all that a client asked for.

    Parameters:
        user: who answers.
        client: the application that asks.
        scopes: names separated by spaces, or an iterable of names; None for all that the client
            may have.
        audience: resource servers or their identifiers; None for the client's default.
        constraints: limits as JSON objects, beside those of the client's policy.
        grant_type: `authorization_code` or that of devices; None for the first one that the
            client's policy allows.
        expires_at: the end that the user chose; None for no end of its own.

    Raises:
        InvalidScope, InvalidTarget: the client cannot ask for that.
        ValueError: the policy of the client has no grant type that asks users.

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
    def make(cls, *, expires_at: datetime | None, **question: Any) -> ConsentRecord:
        """Write an answer; see the class."""
        with nested():
            return _answered(_asked(**question), expires_at)


class DelegationFactory(WrittenFactory):
    """A live delegation.

    Parameters:
        principal: a user, whose consent is written as well, or an application that acts for
            itself; without meaning for a child.
        client: the delegate; for a principal that is an application, that application.
        scopes: names separated by spaces, or an iterable of names; None for all that the client
            may have, and for a child for all of the parent's that it may have.
        audience: resource servers or their identifiers; None for the client's default.
        constraints: limits as JSON objects, beside those of the client's policy.
        expires_at: its end; None for that of its policy or its parent, which bounds it anyway.
        parent: the delegation that is handed on to `client` by a token exchange.

    Raises:
        InvalidScope, InvalidTarget, InvalidRequest: the services refuse such a delegation.
        AccessDenied: it was taken from the client before, or an operator has to confirm it.
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
    def make(
        cls,
        *,
        parent: Delegation | None,
        principal: Any,
        expires_at: datetime | None,
        **wanted: Any,
    ) -> Delegation:
        """Write a delegation; see the class."""
        with nested():
            if parent is not None:
                return _handed_on(parent, expires_at=expires_at, **wanted)
            if hasattr(principal, "client_id"):
                return _own(principal, expires_at=expires_at, **wanted)
            asked = _asked(user=principal, grant_type=None, **wanted)
            consent = _answered(asked, expires_at)
            origin = ORIGIN.acting_as(asked.sign_in.subject)
            return decision.open_on(asked, consent, asked.scope, origin, just_allowed=True)

    @classmethod
    def tree(cls, depth: int = 3, *, children: int = 1, **root: Any) -> list[Delegation]:
        """Write a delegation and what was made from it.

        Each child is held by a client of its own, at a resource server of its own.

        Args:
            depth: how many levels there are, the root's included.
            children: how many children each delegation above the last level has; 1 is a chain.
            root: parameters of the root.

        Returns:
            The delegations, level by level, the root first.

        Raises:
            InvalidRequest: it is deeper than MAX_DEPTH.

        Side effects: those of each delegation.
        """
        level: list[Delegation] = [cls.create(**root)]
        tree = list(level)
        for _ in range(depth - 1):
            level = [cls.create(parent=above) for above in level for _ in range(children)]
            tree += level
        return tree


def _asked(
    *,
    user: Any,
    client: Any,
    scopes: Any,
    audience: Where | None,
    constraints: Limits,
    grant_type: str | None,
) -> ConsentRequest:
    known = client_of(client.client_id)
    grant = _allowed(known, _ASKING if grant_type is None else (grant_type,))
    where = known.audience(identifiers(audience))
    return ConsentRequest(
        client=known,
        sign_in=SignIn(user, clock.now().replace(microsecond=0), conf.default_acr),
        scope=_scope(known, scopes, where),
        audience=where,
        constraints=known.policy.constraints.narrowed(_limits(constraints)),
        grant_type=grant,
        leads_to=ON_A_DEVICE if grant == names.DEVICE_CODE else _redirect_host(client),
        request_digest=digest(new_secret()),
    )


def _answered(asked: ConsentRequest, expires_at: datetime | None) -> ConsentRecord:
    text = decision.held_text(asked, screen.compose)
    answer = decision.evaluate(asked, asked.scope, asked.client.delegation_lifetime)
    if answer is None:
        raise ValueError("The user has allowed nothing.")
    ends = min((end for end in (answer.until, expires_at) if end is not None), default=None)
    answer = replace(answer, until=ends)
    origin = ORIGIN.acting_as(asked.sign_in.subject)
    return decision.record(asked, ConsentRecord.Decision.GRANTED, answer, origin, text)


def _own(
    principal: Any,
    *,
    client: Any,
    scopes: Any,
    audience: Where | None,
    constraints: Limits,
    expires_at: datetime | None,
) -> Delegation:
    if principal.client_id != client.client_id:
        raise ValueError("A client grants to itself only: leave out `client`.")
    known = client_of(client.client_id)
    where = known.audience(identifiers(audience))
    terms = Terms(
        client=known,
        scope=_scope(known, scopes, where),
        audience=where,
        grant_type=_allowed(known, (names.CLIENT_CREDENTIALS,)),
        constraints=known.policy.constraints.narrowed(_limits(constraints)),
        expires_at=expires_at,
    )
    return creation.create(terms, ORIGIN.acting_as(known.subject))


def _handed_on(
    parent: Delegation,
    *,
    client: Any,
    scopes: Any,
    audience: Where | None,
    constraints: Limits,
    expires_at: datetime | None,
) -> Delegation:
    known = client_of(client.client_id)
    where = token_exchange.audience_of(known, (), tuple(identifiers(audience)))
    requested = None if scopes is None else str(scope_of(scopes))
    inherited = parent.constraints.for_child().narrowed(known.policy.constraints)
    terms = ChildTerms(
        parent=parent,
        client=known,
        scope=token_exchange.scope_at(known, requested, parent.scopes, where),
        audience=where,
        grant_type=_allowed(known, (names.TOKEN_EXCHANGE,)),
        constraints=inherited.narrowed(_limits(constraints)),
        actors=_actors(parent, known),
        expires_at=_earliest(parent.expires_at, known, expires_at),
    )
    child = creation.delegate_onward(terms, ORIGIN.acting_as(known.subject))
    if child is None:
        message = "A part of the parent was taken from its client: lift the block first."
        raise ValueError(message)
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


def _earliest(
    parent: datetime | None, client: RegisteredClient, wanted: datetime | None
) -> datetime | None:
    seconds = client.policy.delegation_lifetime
    bound = None if seconds is None else clock.now() + timedelta(seconds=seconds)
    return min((end for end in (parent, bound, wanted) if end is not None), default=None)


def _allowed(client: RegisteredClient, grant_types: tuple[str, ...]) -> str:
    for grant_type in grant_types:
        if client.may_use(grant_type):
            return grant_type
    raise ValueError(f"The policy of the client allows none of {', '.join(grant_types)}.")


def _redirect_host(application: Any) -> str:
    parts = urlsplit(application.redirect_uris.split()[0])
    return parts.hostname or f"{parts.scheme}:"


def _scope(client: RegisteredClient, scopes: Any, audience: Any) -> Scope:
    if scopes is None:
        return client.effective_scope(client.policy.scopes, audience)
    return client.scope(str(scope_of(scopes)), audience)


def _limits(constraints: Limits) -> Constraints:
    return (
        constraints
        if isinstance(constraints, Constraints)
        else Constraints.parse([dict(members) for members in constraints])
    )
