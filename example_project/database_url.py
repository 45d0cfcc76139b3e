"""DATABASE_URL: one string that names a database. Needs no settings, so they can use it."""

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

POSTGRES_SCHEMES = frozenset({"postgres", "postgresql"})

# A writer that begins with a read lock fails with "database is locked" instead of waiting.
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}

# A server that is away, cut off or stuck must not hold every worker of the site. What a paused
# process of a server holds, only the timeout of the worker itself ends.
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


def sqlite(path: Path) -> dict[str, Any]:
    """The entry for DATABASES of an SQLite file."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": dict(SQLITE_OPTIONS),
    }


def parse(url: str) -> dict[str, Any]:
    """The entry for DATABASES that a URL names.

    ``postgres://user:password@host:port/name?sslmode=require`` or ``sqlite:///relative/path`` or
    ``sqlite:////absolute/path``. The query becomes ``OPTIONS`` and overrides the timeouts there;
    ``?options=-c%20statement_timeout%3D0`` lets a long migration finish.
    """
    parts = urlsplit(url)
    if parts.scheme in POSTGRES_SCHEMES:
        return _postgres(parts)
    if parts.scheme == "sqlite":
        return _sqlite(parts)
    # The URL may hold a password, so only its scheme is repeated.
    raise ImproperlyConfigured(
        f"DATABASE_URL must start with postgres:// or sqlite:///, not {parts.scheme!r}."
    )


def _postgres(parts: SplitResult) -> dict[str, Any]:
    name = unquote(parts.path.removeprefix("/"))
    if not name:
        raise ImproperlyConfigured("DATABASE_URL names no database after the host.")
    try:
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured("DATABASE_URL has a port that is not a number.") from error
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(port or ""),
        "OPTIONS": _options(parts),
    }


def _sqlite(parts: SplitResult) -> dict[str, Any]:
    path = unquote(parts.path.removeprefix("/"))
    if parts.netloc or not path:
        raise ImproperlyConfigured("DATABASE_URL for SQLite is sqlite:/// and then a path.")
    if parts.query:
        raise ImproperlyConfigured("DATABASE_URL for SQLite takes no options.")
    return sqlite(Path(path))


def _options(parts: SplitResult) -> dict[str, Any]:
    try:
        given = dict(
            parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        )
    except ValueError as error:
        raise ImproperlyConfigured("DATABASE_URL has options that are not name=value.") from error
    # Of two values for one name, the session takes the last
    session = f"{POSTGRES_SESSION} {given.pop('options', '')}".strip()
    return {**POSTGRES_OPTIONS, **given, "options": session}
