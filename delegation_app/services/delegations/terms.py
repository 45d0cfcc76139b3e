"""The terms of a delegation before it exists."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import digest
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.delegations.blocks import Authority

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


@dataclass(frozen=True, slots=True)
class SignIn:
    """When and how a user signed in."""

    user: AbstractBaseUser
    auth_time: datetime
    acr: str

    @property
    def subject(self) -> str:
        """The user as a principal or an actor."""
        return user_subject(self.user.pk)


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a root delegation; equal terms reuse one record where records are reused.

    Attributes:
        client: the delegate.
        scope, audience, constraints: the permitted scopes, resource servers and limits.
        grant_type: the grant type that creates it.
        sign_in: the granting user; None for a client that acts for itself.
        consent: the consent that it rests on.
        expires_at: its end (UTC); None for no end of its own.
        allowed_at: the time of the user's answer (UTC); None without an answer.
        found_by: the digest of the requested terms, if a block cut them.
    """

    client: RegisteredClient
    scope: Scope
    audience: Audience
    grant_type: str
    constraints: Constraints = Constraints()
    sign_in: SignIn | None = None
    consent: ConsentRecord | None = None
    expires_at: datetime | None = None
    allowed_at: datetime | None = None
    found_by: str = ""

    @property
    def authority(self) -> Authority:
        """The authority on these terms before any block."""
        return Authority(self.scope, self.audience, self.constraints, self.expires_at)

    @property
    def subject(self) -> str:
        """The principal: a user, or the client acting for itself."""
        return self.client.subject if self.sign_in is None else self.sign_in.subject

    @property
    def is_for_a_code(self) -> bool:
        """Whether a code comes first, and a token only with its redemption."""
        return self.sign_in is not None

    @property
    def digest(self) -> str:
        """A digest of the terms; equal for delegations that are interchangeable."""
        return self.found_by or _digest(self, None, self.subject, [])

    def columns(self) -> dict[str, Any]:
        """Return the values of a new row."""
        return _own_columns(self) | _principal(self) | {"subject": self.subject}

    def cut(self, to: Authority) -> Self:
        """Return the terms with less authority; the digest of the original terms still finds it."""
        return replace(self, **_less(self, to))


@dataclass(frozen=True, slots=True)
class ChildTerms:
    """The terms of a child delegation (RFC 8693).

    Attributes:
        parent: the parent delegation.
        client, scope, audience, grant_type, constraints, expires_at: as in `Terms`; the
            constraints are the parent's, narrowed.
        actors: the actors, the current one first.
        found_by: as in `Terms`.
    """

    parent: Delegation
    client: RegisteredClient
    scope: Scope
    audience: Audience
    grant_type: str
    constraints: Constraints
    actors: tuple[dict[str, str], ...]
    expires_at: datetime | None
    found_by: str = ""

    @property
    def subject(self) -> str:
        """The principal of the whole tree."""
        return self.parent.subject

    @property
    def authority(self) -> Authority:
        """The authority on these terms before any block."""
        return Authority(self.scope, self.audience, self.constraints, self.expires_at)

    @property
    def is_for_a_code(self) -> bool:
        """Always false: its first token is issued with it."""
        return False

    @property
    def digest(self) -> str:
        """A digest of the terms; equal for children that are interchangeable."""
        parent = self.parent
        return self.found_by or _digest(
            self, str(parent.public_id), parent.subject, list(self.actors)
        )

    def columns(self) -> dict[str, Any]:
        """Return the values of a new row. The principal comes from the parent."""
        inherited = ("subject", "principal_user_id", "principal_client_id", "consent_id")
        evidence = ("allowed_at", "auth_time", "acr")
        return _own_columns(self) | {
            "parent": self.parent,
            "actors": list(self.actors),
            **{name: getattr(self.parent, name) for name in (*inherited, *evidence)},
        }

    def cut(self, to: Authority) -> Self:
        """Return the terms with less authority; the digest of the original terms still finds it."""
        return replace(self, **_less(self, to))


def most_uses(constraints: Constraints) -> int | None:
    """Return the number of tokens that the constraint `max_uses` allows; None without one."""
    limit = constraints.get("max_uses")
    return None if limit is None else int(limit.as_json()["uses"])


def _less(terms: Terms | ChildTerms, to: Authority) -> dict[str, Any]:
    return {
        "scope": to.scope,
        "audience": to.audience,
        "constraints": to.constraints,
        "expires_at": to.expires_at,
        "found_by": terms.digest,
    }


def _own_columns(terms: Terms | ChildTerms) -> dict[str, Any]:
    return {
        "delegate": terms.client.application,
        "delegate_client_id": terms.client.client_id,
        "scopes": terms.scope,
        "audience": terms.audience,
        "constraints": terms.constraints,
        "max_uses": most_uses(terms.constraints),
        "grant_type": terms.grant_type,
        "terms_digest": terms.digest,
        "expires_at": terms.expires_at,
    }


def _principal(terms: Terms) -> dict[str, Any]:
    if terms.sign_in is None:
        return {"principal_client": terms.client.application, "consent": terms.consent}
    return {
        "principal_user_id": terms.sign_in.user.pk,
        "allowed_at": terms.allowed_at,
        "auth_time": terms.sign_in.auth_time,
        "acr": terms.sign_in.acr,
        "consent": terms.consent,
    }


def _digest(
    terms: Terms | ChildTerms, parent: str | None, subject: str, actors: list[dict[str, str]]
) -> str:
    members = [
        parent,
        subject,
        terms.client.client_id,
        terms.grant_type,
        list(terms.scope),
        list(terms.audience),
        terms.constraints.as_json(),
        actors,
    ]
    return digest(json.dumps(members, ensure_ascii=True, sort_keys=True, separators=(",", ":")))
