"""Who acts, for whom: the user of a request, made from its token alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn, Self

from delegation_app.protocol.scope import Scope
from delegation_app.protocol.verified_token import VerifiedToken
from delegation_app.resource_server.no_rows import none_of


@dataclass(frozen=True, slots=True)
class Principal:
    """A user without a row: `request.user` of a request that brought a token.

    It has every attribute of Django's `AnonymousUser`, so that apps can treat it as a user. It has
    no groups and no permissions: the scope of its token says what it may do.

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

    @property
    def username(self) -> str:
        """The subject."""
        return self.subject

    @property
    def groups(self) -> Any:
        """No groups; see `none_of`."""
        return none_of("Group")

    @property
    def user_permissions(self) -> Any:
        """No permissions; see `none_of`."""
        return none_of("Permission")

    def get_username(self) -> str:
        """Return the subject."""
        return self.subject

    def get_all_permissions(self, _obj: object = None) -> set[str]:
        """Return no permissions."""
        return set()

    get_user_permissions = get_group_permissions = get_all_permissions

    async def aget_all_permissions(self, _obj: object = None) -> set[str]:
        """Return no permissions."""
        return set()

    aget_user_permissions = aget_group_permissions = aget_all_permissions

    def has_perm(self, _permission: str, _obj: object = None) -> bool:
        """Return False: Django's permissions allow nothing."""
        return False

    def has_perms(self, _permissions: object, _obj: object = None) -> bool:
        """Return False."""
        return False

    def has_module_perms(self, _app_label: str) -> bool:
        """Return False."""
        return False

    async def ahas_perm(self, _permission: str, _obj: object = None) -> bool:
        """Return False."""
        return False

    async def ahas_perms(self, _permissions: object, _obj: object = None) -> bool:
        """Return False."""
        return False

    async def ahas_module_perms(self, _app_label: str) -> bool:
        """Return False."""
        return False

    def save(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Raise `NotImplementedError`, as `AnonymousUser` does: there is no row."""
        raise NotImplementedError("A principal made from a token has no row.")

    delete = set_password = check_password = save
