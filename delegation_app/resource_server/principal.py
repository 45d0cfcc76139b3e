"""The user of a request with a token, built from the token alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NoReturn, Self

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.db import connections, router
from django.db.models.manager import EmptyManager

from delegation_app.protocol.scope import Scope
from delegation_app.protocol.verified_token import VerifiedToken


@dataclass(frozen=True, slots=True)
class Principal:
    """A user without a row: `request.user` of a request with a token.

    It has every attribute of Django's `AnonymousUser`, so that apps can treat it as a user. It has
    no groups and no permissions: the scope of its token grants.

    Attributes:
        subject: the principal of the delegation, `user:<id>` or `client:<client_id>`.
        client_id: the client that acts.
        scope: the scope of the token.
        delegation_id: the delegation behind the token.
        actors: the actors, the current one first. The others are history and decide nothing.
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
        """The subject, by which throttles count."""
        return self.subject

    id = username = pk

    @property
    def actor(self) -> Mapping[str, str] | None:
        """The current actor; None if the client acts for itself."""
        return self.actors[0] if self.actors else None

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
        """Return an empty set."""
        return set()

    get_user_permissions = get_group_permissions = get_all_permissions

    async def aget_all_permissions(self, _obj: object = None) -> set[str]:
        """Return an empty set."""
        return set()

    aget_user_permissions = aget_group_permissions = aget_all_permissions

    def has_perm(self, *_args: object, **_kwargs: object) -> bool:
        """Return False: the scope of the token grants, not Django's permissions."""
        return False

    has_perms = has_module_perms = has_perm

    async def ahas_perm(self, *_args: object, **_kwargs: object) -> bool:
        """Return False; see `has_perm`."""
        return False

    ahas_perms = ahas_module_perms = ahas_perm

    def save(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Raise `NotImplementedError`, as `AnonymousUser` does: there is no row."""
        raise NotImplementedError("The principal of a token has no row.")

    delete = set_password = check_password = save


class NoRows(tuple[Any, ...]):
    """Replaces an empty manager and its querysets if there is no database."""

    __slots__ = ()

    def _itself(self, *_args: object, **_kwargs: object) -> NoRows:
        return self

    all = filter = exclude = none = order_by = distinct = using = _itself
    values = values_list = only = defer = select_related = prefetch_related = _itself

    def count(self, *_args: object) -> int:
        """Return 0."""
        return 0

    def exists(self) -> bool:
        """Return False."""
        return False

    def first(self) -> None:
        """Return None."""

    last = first

    def get(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Raise `ObjectDoesNotExist`."""
        raise ObjectDoesNotExist("The principal of a token has no rows.")

    async def acount(self) -> int:
        """Return 0."""
        return 0

    async def aexists(self) -> bool:
        """Return False."""
        return False

    async def afirst(self) -> None:
        """Return None."""

    alast = afirst

    async def aget(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Raise `ObjectDoesNotExist`."""
        self.get()

    async def __aiter__(self) -> AsyncIterator[Any]:
        for row in self:
            yield row


def none_of(name: str) -> Any:
    """Return an empty manager of a model of `django.contrib.auth`.

    Args:
        name: `Group` or `Permission`.

    Returns:
        The manager that `AnonymousUser` has, whose querysets combine with others. `NoRows` if
        `django.contrib.auth` is not installed or `DATABASES` is empty, where those querysets raise.
    """
    if not apps.is_installed("django.contrib.auth"):
        return NoRows()
    model = apps.get_model("auth", name)
    has_database = connections[router.db_for_read(model)].vendor != "unknown"
    return EmptyManager(model) if has_database else NoRows()
