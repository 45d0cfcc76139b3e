"""Clients as the services know them: an application, its policy and its resource servers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Final

from delegation_app import toolkit
from delegation_app.conf import LONGEST_ACCESS_TOKEN, conf
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience, other_spelling
from delegation_app.protocol.claims import client_subject
from delegation_app.protocol.errors import InvalidScope, InvalidTarget
from delegation_app.protocol.scope import Scope
from delegation_app.toolkit import Application

# A refresh token of a public client is sufficient for a thief, so its reuse is detected sooner
_PUBLIC_RETRY_WINDOW: Final = timedelta(seconds=10)


NO_SERVER: Final = "No resource server is configured for this client."


class SetupProblem(Enum):
    """Why a client has no default audience, for the log; `description` is public."""

    POLICY = "the client has no policy and DEFAULT_AUDIENCE is not an active resource server"
    AUDIENCE = "the client's policy has no active audience"
    DEFAULT = "the client's policy has several audiences and no default"
    ACTIVE_DEFAULT = "the default of the client's policy is not among its active audiences"

    @property
    def description(self) -> str:
        """The public error description."""
        if self in {SetupProblem.POLICY, SetupProblem.AUDIENCE}:
            return NO_SERVER
        return "The request must name a resource server in the parameter resource."


@dataclass(frozen=True, slots=True)
class Server:
    """The part of a resource server that a client's terms need."""

    pk: int
    name: str
    identifier: str
    scopes: Scope
    opaque: bool


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A client, its policy (stored or derived) and its active resource servers by identifier."""

    application: Application
    policy: ClientPolicy
    servers: Mapping[str, Server]

    @property
    def client_id(self) -> str:
        """The client id."""
        return self.application.client_id

    @property
    def subject(self) -> str:
        """The client as a principal or an actor."""
        return client_subject(self.client_id)

    @property
    def signing_kid(self) -> str | None:
        """The id of the active signing key when the client was read; None if not read."""
        return getattr(self.application, "signing_kid", None)

    @property
    def is_confidential(self) -> bool:
        """Whether it can keep a secret (RFC 6749 section 2.1)."""
        return toolkit.is_confidential(self.application)

    @property
    def is_trusted(self) -> bool:
        """Whether it needs no consent; never true of a public client."""
        return toolkit.is_trusted(self.application)

    @property
    def auth_methods(self) -> frozenset[str]:
        """Its authentication methods (RFC 7591 section 2)."""
        if not self.is_confidential:
            return frozenset({names.NONE})
        chosen = self.policy.token_endpoint_auth_method
        return frozenset({chosen}) if chosen else frozenset({names.BASIC, names.POST})

    def may_use(self, grant_type: str) -> bool:
        """Whether the policy allows a grant type."""
        return grant_type in self.policy.grants

    @property
    def access_token_lifetime(self) -> timedelta:
        """The lifetime of its access tokens."""
        wanted = _seconds(self.policy.access_token_lifetime) or conf.access_token_lifetime
        return min(wanted, LONGEST_ACCESS_TOKEN)

    @property
    def refresh_token_lifetime(self) -> timedelta:
        """The lifetime of its unused refresh tokens."""
        return _seconds(self.policy.refresh_token_lifetime) or conf.refresh_token_lifetime

    @property
    def refresh_retry_window(self) -> timedelta:
        """How long a rotated refresh token may be retried, at most the lifetime of an access token.

        The policy's, else the site's, at most ten seconds for public clients.
        """
        window = _seconds(self.policy.refresh_retry_window)
        if window is None:
            window = default_retry_window(is_confidential=self.is_confidential)
        return min(window, self.access_token_lifetime)

    @property
    def delegation_lifetime(self) -> timedelta | None:
        """The lifetime of its delegations; None: until revoked."""
        return _seconds(self.policy.delegation_lifetime) or conf.delegation_lifetime

    def audience(self, resources: Iterable[str]) -> Audience:
        """Return the audience of a new delegation.

        Args:
            resources: the values of `resource`; none for the client's default.

        Raises:
            InvalidTarget: malformed, unknown, inactive or not for this client; or none
                requested without a default (RFC 8707 section 2).
        """
        requested = _parsed(resources, self.servers)
        self.refuse_unreachable(requested, "A resource is unknown or not for this client.")
        return requested or self._default_audience()

    def refuse_unreachable(self, identifiers: Iterable[str], description: str) -> None:
        """Refuse resource servers that are not for this client.

        Raises:
            InvalidTarget: with `description`, or NO_SERVER for a client without resource servers.
        """
        if strange := self.unreachable(identifiers):
            raise InvalidTarget(description if self.servers else NO_SERVER, detail=strange)

    def unreachable(self, identifiers: Iterable[str]) -> str:
        """Return the log detail about resource servers not for this client; empty for none."""
        strange = [identifier for identifier in identifiers if identifier not in self.servers]
        own = ", ".join(self.servers) or "none"
        return f"{', '.join(strange)} is not among its active audiences: {own}" if strange else ""

    def narrowed_audience(self, resources: Iterable[str], granted: Audience) -> Audience:
        """Return the available part of a granted audience.

        Raises:
            InvalidTarget: more than was granted, or nothing active remains.
        """
        requested = _parsed(resources, granted.names)
        # RFC 8707 section 2.2: at the token endpoint the granted resources or a part of them
        if not requested <= granted or not all(name in self.servers for name in requested):
            raise InvalidTarget("A resource was not granted or is not available.")
        left = requested or Audience(name for name in granted if name in self.servers)
        if not left:
            raise InvalidTarget("No granted resource is available.")
        return left

    def scope(self, requested: str | None, audience: Audience) -> Scope:
        """Return the scope of a new delegation.

        Args:
            requested: the value of `scope`; None for the site's default.
            audience: where the delegation will be valid.

        Raises:
            InvalidScope: malformed, unknown, more than the policy allows, or nothing that the
                audience accepts.
        """
        # RFC 6749 section 3.3: a request without scope gets a documented default
        if requested is None:
            return self.effective_scope(toolkit.default_scopes(self.application), audience)
        scope, known = Scope.parse(requested), Scope(toolkit.all_scopes())
        allowed = self.tolerated(scope, self.policy.scopes & known)
        if allowed is None:
            return self.scope(None, audience)
        if unknown := allowed - known:
            raise InvalidScope(f"Unknown scope: {unknown.listed()}.")
        if foreign := allowed - self.policy.scopes:
            raise InvalidScope(f"Scope not for this client: {foreign.listed()}.")
        return self.effective_scope(allowed, audience)

    def narrowed_scope(
        self,
        requested: str | None,
        granted: Scope,
        audience: Audience,
        *,
        limit: str = "was granted",
    ) -> Scope:
        """Return the available part of a granted scope.

        Args:
            requested: the value of `scope`; None for all of it.
            granted: the scope that was granted.
            audience: where the token will be valid.
            limit: what the refusal calls the granted scope.

        Raises:
            InvalidScope: more than was granted (RFC 6749 section 6), or nothing remains.
        """
        wanted = None if requested is None else self.tolerated(Scope.parse(requested), granted)
        scope = granted if wanted is None else wanted
        if more := scope - granted:
            raise InvalidScope(f"The scope is more than {limit}: {more.listed()}.")
        return self.effective_scope(scope, audience)

    def wanted_scope(self, requested: str | None, granted: Scope, audience: Audience) -> Scope:
        """Return the requested part of a granted scope; all of it without a request.

        The user may have granted less than requested, so the rest is left out, and the response
        reports it (RFC 6749 section 5.1).

        Raises:
            InvalidScope: malformed, or nothing remains.
        """
        wanted = granted if requested is None else granted & Scope.parse(requested)
        return self.effective_scope(wanted, audience)

    def tolerated(self, scope: Scope, available: Scope) -> Scope | None:
        """Return the effective request.

        Args:
            scope: as sent.
            available: to the client.

        Returns:
            All of it, unless the policy drops unavailable scopes; None if nothing remains, which is
            treated as a request without scope.
        """
        if not self.policy.drops_unavailable_scopes:
            return scope
        # RFC 6749 section 3.3: the scope may be partially ignored; the response reports the rest
        return (scope & available) or None

    def effective_scope(self, scope: Scope, audience: Audience) -> Scope:
        """Restrict `scope` to the policy and the audience (RFC 8707 section 2.2).

        Raises:
            InvalidScope: nothing remains.
        """
        effective = self.known_scope(scope, audience)
        if not effective:
            raise InvalidScope("No requested scope is available at this resource.")
        return effective

    def known_scope(self, scope: Scope, audience: Audience) -> Scope:
        """Restrict `scope` to the policy, the site and the resource servers."""
        at_audience = Scope(name for server in audience for name in self.servers[server].scopes)
        return scope & self.policy.scopes & Scope(toolkit.all_scopes()) & at_audience

    def wants_opaque(self, audience: Audience) -> bool:
        """Whether one of the resource servers of `audience` uses opaque tokens."""
        return any(self.servers[name].opaque for name in audience)

    @property
    def lack(self) -> SetupProblem | None:
        """Why a request without a resource is refused; None with a default."""
        if len(self._defaults()) == 1:
            return None
        if self.servers:
            chosen = self.policy.default_audience_id is not None
            return SetupProblem.ACTIVE_DEFAULT if chosen else SetupProblem.DEFAULT
        return SetupProblem.AUDIENCE if self.has_policy else SetupProblem.POLICY

    @property
    def has_policy(self) -> bool:
        """Whether its policy is stored rather than derived."""
        return not self.policy._state.adding  # noqa: SLF001 - Django's documented way to ask

    def _defaults(self) -> list[Server]:
        default = self.policy.default_audience_id
        return [one for one in self.servers.values() if default in {None, one.pk}]

    def _default_audience(self) -> Audience:
        if (lack := self.lack) is not None:
            # RFC 8707 section 2
            raise InvalidTarget(lack.description, detail=f"no resource, and {lack.value}")
        return Audience([self._defaults()[0].identifier])


def default_retry_window(*, is_confidential: bool) -> timedelta:
    """Return the retry window of clients whose policy has none."""
    most = timedelta.max if is_confidential else _PUBLIC_RETRY_WINDOW
    return min(conf.refresh_retry_window, most)


def known_spelling(identifier: str, known: Collection[str]) -> str:
    """Return an identifier as it is known, with or without a trailing slash, or as sent.

    Args:
        identifier: as sent.
        known: the candidates; an exact match takes precedence, and the identifier of another
            resource server never matches. One statement at most.
    """
    other = None if identifier in known else other_spelling(identifier)
    if other is None or other not in known:
        return identifier
    is_another = ResourceServer.objects.filter(identifier=identifier).exists()
    return identifier if is_another else other


def _parsed(resources: Iterable[str], known: Collection[str]) -> Audience:
    return Audience(known_spelling(name, known) for name in Audience.parse(resources))


def _seconds(value: int | None) -> timedelta | None:
    return None if value is None else timedelta(seconds=value)
