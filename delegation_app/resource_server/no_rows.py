"""Empty relations of a user without a row: its groups and its permissions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NoReturn

from django.apps import apps
from django.core.exceptions import ObjectDoesNotExist
from django.db import connections, router
from django.db.models.manager import EmptyManager


class NoRows(tuple[Any, ...]):
    """Stands in for an empty manager and its querysets where there is no database to ask."""

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
        raise ObjectDoesNotExist("A principal made from a token has no rows.")

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
        What `AnonymousUser` has, so that its querysets can be part of others. `NoRows` where
        `django.contrib.auth` is not installed or `DATABASES` is empty: there those querysets raise.
    """
    if not apps.is_installed("django.contrib.auth"):
        return NoRows()
    model = apps.get_model("auth", name)
    has_database = connections[router.db_for_read(model)].vendor != "unknown"
    return EmptyManager(model) if has_database else NoRows()
