"""Shared by the checks: settings of any type, and rows where they may be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, router
from django.db.utils import load_backend

from delegation_app.conf import DEFAULTS, configured


def several(name: str) -> list[object]:
    """Return the members of a setting that is one value or a list of them."""
    value = configured().get(name, DEFAULTS[name])
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def our_alias() -> str:
    """Return the alias of the database that delegations are written to."""
    from delegation_app.models import Delegation  # noqa: PLC0415 - apps not ready above

    return router.db_for_write(Delegation)


def our_database() -> dict[str, object]:
    """Return the entry of `DATABASES` for the app's tables; empty if there is none."""
    found: dict[str, object] = settings.DATABASES.get(our_alias(), {})
    return found


def vendor(database: dict[str, object]) -> str:
    """Return the vendor of an entry of `DATABASES`, such as `postgresql`.

    The last part of `ENGINE` if its driver is missing; empty if there is no database.
    """
    engine = str(database.get("ENGINE") or "django.db.backends.dummy")
    if engine == "django.db.backends.dummy":
        return ""
    try:
        return str(load_backend(engine).DatabaseWrapper.vendor)
    except (ImproperlyConfigured, ImportError):
        return engine.rpartition(".")[2]


def options(database: dict[str, object]) -> dict[str, object]:
    """Return `OPTIONS` of an entry of `DATABASES` or `CACHES`; empty if it has none."""
    found = database.get("OPTIONS")
    return found if isinstance(found, dict) else {}


def found(
    find: Callable[[], Iterable[CheckMessage]], databases: Iterable[str] | None
) -> list[CheckMessage]:
    """Return the messages of a check of the app's tables, if they exist and may be read.

    Args:
        find: reads them.
        databases: the aliases that may be read, as passed to the check.
    """
    if our_alias() not in (databases or ()):
        return []
    try:
        return list(find())
    except (DatabaseError, InterfaceError, ImproperlyConfigured):
        # No database, or not migrated yet: nothing to compare with
        return []


def error(message: str, hint: str, number: str) -> Error:
    """Return an error with a number such as E001."""
    return Error(message, hint, id=f"delegation_app.{number}")


def caution(message: str, hint: str, number: str) -> Caution:
    """Return a warning with a number such as W001."""
    return Caution(message, hint, id=f"delegation_app.{number}")
