"""The entries of DATABASES. Needs no settings, so the settings can use it."""

from pathlib import Path
from typing import Any

import dj_database_url

# A writer that begins with a read lock fails with "database is locked" instead of waiting.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}

# A server that is down, unreachable or stuck must not hold every worker. If the server's process
# is paused, only the timeout of the worker itself ends the wait.
POSTGRES_OPTIONS = {
    # Seconds
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # Milliseconds
    "tcp_user_timeout": 15_000,
}
POSTGRES_SESSION = (
    "-c statement_timeout=20s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s"
)

# Per process. CONN_MAX_AGE would leave one connection open for each thread that has ended.
POOL = {"min_size": 1, "max_size": 8, "timeout": 5}


def sqlite(path: Path) -> dict[str, Any]:
    """The entry of an SQLite file."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": dict(SQLITE_OPTIONS),
    }


def parse(url: str, *, pool: bool = False) -> dict[str, Any]:
    """The entry that a URL names, in the syntax of dj-database-url.

    The query of a PostgreSQL URL overrides the timeouts:
    ``?options=-c%20statement_timeout%3D0`` lets a long migration finish.

    Args:
        url: ``postgres://user:password@host:port/name?sslmode=require`` or ``sqlite:///path``.
        pool: whether the process keeps its PostgreSQL connections open between requests.
    """
    entry: dict[str, Any] = {**dj_database_url.parse(url)}
    if entry["ENGINE"].endswith("sqlite3"):
        return sqlite(Path(entry["NAME"]))
    options = {**POSTGRES_OPTIONS, **entry.get("OPTIONS", {})}
    # The last of two values for one name counts.
    options["options"] = f"{POSTGRES_SESSION} {options.get('options', '')}".strip()
    if pool:
        options["pool"] = dict(POOL)
        entry["CONN_HEALTH_CHECKS"] = True
    return {**entry, "OPTIONS": options}
