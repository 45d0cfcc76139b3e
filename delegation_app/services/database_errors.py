"""Which database errors are permanent."""

from __future__ import annotations

from sqlite3 import SQLITE_ERROR

from django.db import IntegrityError, NotSupportedError, ProgrammingError


def is_permanent(error: Exception) -> bool:
    """Whether a statement fails again however long the caller waits, as for a missing table.

    Args:
        error: as Django raised it.
    """
    if isinstance(error, ProgrammingError | NotSupportedError | IntegrityError):
        return True
    # SQLite raises OperationalError for these as well: "SQL error or missing database"
    return getattr(error.__cause__, "sqlite_errorcode", None) == SQLITE_ERROR
