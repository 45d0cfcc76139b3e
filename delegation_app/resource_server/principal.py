"""Who acts, for whom: the user of a request, made from its token alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from delegation_app.protocol.scope import Scope
from delegation_app.protocol.verified_token import VerifiedToken


@dataclass(frozen=True, slots=True)
class Principal:
    """A user without a row: `request.user` of a request that brought a token.

    It answers what Django and its REST framework ask of a user, and has none of Django's
    permissions: what it may do says the scope of its token.

    Attributes:
        subject: whose authority it is, `user:<id>` or `client:<client_id>`.
        client_id: the client that acts.
        scope: what it may do here.
        delegation_id: the record that says so.
        actors: who acts, the current one first. The others are history and decide nothing.
    """

    subject: str
    client_id: str
    scope: Scope
    delegation_id: str
    actors: tuple[Mapping[str, str], ...] = field(default=(), hash=False)

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False
    is_active: ClassVar[bool] = True
    is_staff: ClassVar[bool] = False
    is_superuser: ClassVar[bool] = False

    @classmethod
    def of(cls, token: VerifiedToken) -> Self:
        """Return the principal of a verified token."""
        return cls(token.subject, token.client_id, token.scope, token.delegation_id, token.actors)

    def __str__(self) -> str:
        return self.subject

    @property
    def pk(self) -> str:
        """The subject: throttles count by it."""
        return self.subject

    @property
    def id(self) -> str:
        """The subject."""
        return self.subject

    @property
    def actor(self) -> Mapping[str, str] | None:
        """Who acts now; None if the client itself was let in."""
        return self.actors[0] if self.actors else None

    def get_username(self) -> str:
        """Return the subject."""
        return self.subject

    def has_perm(self, _permission: str, _obj: object = None) -> bool:
        """Tell whether Django's permissions allow something: never."""
        return False

    def has_perms(self, _permissions: object, _obj: object = None) -> bool:
        """Tell the same of several."""
        return False

    def has_module_perms(self, _app_label: str) -> bool:
        """Tell the same of an app."""
        return False
