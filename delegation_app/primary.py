"""Decisions are read from the database that takes the writes, never from a replica.

`models.base` ensures that for the tables of this app. Users, clients, sessions and permissions
belong to other apps, and a site's routers may send their reads to a replica that lags behind, where
a disabled user is still active or signed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from django.db import router
from django.db.models import Model, QuerySet

_deciding: Final = ContextVar("delegation_deciding", default=False)


class _PrimaryFirst:
    """A database router that routes reads during a decision only."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Return the alias that takes the writes of a model."""
        return router.db_for_write(model, **hints) if _deciding.get() else None


_FIRST: Final = _PrimaryFirst()


@contextmanager
def reading() -> Iterator[None]:
    """Read every model from the database that takes its writes. Also a decorator.

    Side effects: inserts a router before those of the site, once; outside of this block it is
        inactive.
    """
    # Not in `ready`: the tests of a site replace the routers
    if _FIRST not in router.routers:
        router.routers = [_FIRST, *router.routers]
    token = _deciding.set(True)
    try:
        yield
    finally:
        _deciding.reset(token)


def rows(model: type[Model]) -> QuerySet[Any]:
    """Return all rows of another app's model from the database that takes its writes."""
    return model._default_manager.using(router.db_for_write(model))
