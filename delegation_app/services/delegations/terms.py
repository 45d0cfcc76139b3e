"""What a delegation says, before there is one."""

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
from delegation_app.services.clients.lookup import RegisteredClient
from delegation_app.services.delegations.blocks import Authority

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


@dataclass(frozen=True, slots=True)
class SignIn:
    """How and when a person signed in."""

    user: AbstractBaseUser
    auth_time: datetime
    acr: str

    @property
    def subject(self) -> str:
        """The person as a principal or an actor."""
        return user_subject(self.user.pk)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a delegation says: same terms, same record, where records are reused.

    Attributes:
        client: who receives.
        scope, audience, constraints: what it may do, where, within which limits.
        grant_type: how it comes about.
        sign_in: the person who grants; None for a client that acts for itself.
        consent: the answer that it stands on.
        expires_at: its end; None for no end of its own.
        allowed_at: when the person allowed it on a page (UTC); None where no page was answered.
        found_by: the digest of the terms that were wanted, where something was cut from them.
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
        """What is granted on these terms, unless something was taken from the pair."""
        return Authority(self.scope, self.audience, self.constraints, self.expires_at)

    @property
    def subject(self) -> str:
        """The principal: a user, or the client acting for itself."""
        return self.client.subject if self.sign_in is None else self.sign_in.subject

    @property
    def is_for_a_code(self) -> bool:
        """Whether a code is issued on it first, and a token only when that is redeemed."""
        return self.sign_in is not None

    @property
    def digest(self) -> str:
        """A digest of all that makes two delegations the same."""
        return self.found_by or _digest(self, None, self.subject, [])

    def columns(self) -> dict[str, Any]:
        """Return the values of a new row."""
        return _own_columns(self) | _principal(self) | {"subject": self.subject}

    def cut(self, to: Authority) -> Self:
        """Return the terms with less authority; the delegation is found by those from before."""
        return replace(self, **_less(self, to))


@dataclass(frozen=True, slots=True)
class ChildTerms:
    """What a delegation says that is made from another one (RFC 8693).

    Attributes:
        parent: the delegation that is handed on.
        client, scope, audience, grant_type, constraints, expires_at: as in `Terms`; the
            constraints are the parent's, narrowed.
        actors: who acts, the current actor first.
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
        """What is granted on these terms, unless something was taken from the pair."""
        return Authority(self.scope, self.audience, self.constraints, self.expires_at)

    @property
    def is_for_a_code(self) -> bool:
        """Never: its first token is issued with it."""
        return False

    @property
    def digest(self) -> str:
        """A digest of all that makes two children the same."""
        parent = self.parent
        return self.found_by or _digest(
            self, str(parent.public_id), parent.subject, list(self.actors)
        )

    def columns(self) -> dict[str, Any]:
        """Return the values of a new row. Whose authority it is, it has from its parent."""
        inherited = ("subject", "principal_user_id", "principal_client_id", "consent_id")
        evidence = ("allowed_at", "auth_time", "acr")
        return _own_columns(self) | {
            "parent": self.parent,
            "actors": list(self.actors),
            **{name: getattr(self.parent, name) for name in (*inherited, *evidence)},
        }

    def cut(self, to: Authority) -> Self:
        """Return the terms with less authority; the delegation is found by those from before."""
        return replace(self, **_less(self, to))


def most_uses(constraints: Constraints) -> int | None:
    """Return how many tokens the constraint `max_uses` allows; None without one."""
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
