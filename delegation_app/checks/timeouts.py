"""Checks for `check --deploy`: missing timeouts.

Only settings are checked. A database role, a proxy or a service file may set the same; then
silence the check.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, register

from delegation_app.checks import subjects
from delegation_app.checks.subjects import caution
from delegation_app.conf import conf

# https://www.postgresql.org/docs/current/runtime-config-client.html: 0 disables the timeout
_ENDLESS = re.compile(r"(0+[a-z]*)?")
_SESSION: Final[Mapping[str, tuple[str, str]]] = {
    "statement_timeout": ("W010", "A slow statement can block its worker"),
    "lock_timeout": ("W011", "A wait for a lock can block its worker"),
    "idle_in_transaction_session_timeout": ("W012", "A hanging worker can hold its locks"),
}
# The timeout options of each cache client
_OF_CACHES: Final[Mapping[str, tuple[str, ...]]] = {
    "redis": ("socket_connect_timeout", "socket_timeout"),
    "pymemcache": ("connect_timeout", "timeout"),
}


@register(deploy=True)
def check_postgresql(**_kwargs: Any) -> list[CheckMessage]:
    """W008: no connect timeout. W009: no TCP timeout. W010 to W012: see `_SESSION`."""
    database = subjects.our_database()
    return list(_of_postgresql(database)) if subjects.vendor(database) == "postgresql" else []


@register(deploy=True)
def check_cache(**_kwargs: Any) -> list[CheckMessage]:
    """W013: an unresponsive cache blocks every request that counts attempts."""
    cache = settings.CACHES.get(conf.cache, {})
    backend = str(cache.get("BACKEND", "")).lower()
    needed = next((names for part, names in _OF_CACHES.items() if part in backend), ())
    missing = sorted(set(needed) - _timeouts_of(cache))
    if not missing:
        return []
    hint = f"Set {', '.join(missing)} in OPTIONS of the cache {conf.cache!r}, such as 1 second."
    return [caution("An unresponsive cache blocks its workers indefinitely.", hint, "W013")]


@register(deploy=True)
def check_persistent_connections(**_kwargs: Any) -> list[CheckMessage]:
    """W014: under ASGI, each thread keeps a connection that is never reused."""
    database = subjects.our_database()
    persistent = database.get("CONN_MAX_AGE", 0) != 0
    asgi = getattr(settings, "ASGI_APPLICATION", None)
    if not (persistent and asgi) or subjects.vendor(database) != "postgresql":
        return []
    hint = 'Set CONN_MAX_AGE = 0, and use OPTIONS["pool"] for persistent connections.'
    message = "Under ASGI, CONN_MAX_AGE leaves a connection open for each thread."
    return [caution(message, hint, "W014")]


def _of_postgresql(database: dict[str, object]) -> Iterator[CheckMessage]:
    options = subjects.options(database)
    if _is_endless(options.get("connect_timeout")):
        hint = 'Set OPTIONS["connect_timeout"], such as 5 seconds.'
        yield caution("An unresponsive server blocks new connections.", hint, "W008")
    # A local socket does not lose packets
    remote = database.get("HOST") and not str(database["HOST"]).startswith("/")
    if remote and any(
        _is_endless(options.get(name)) for name in ("keepalives_idle", "tcp_user_timeout")
    ):
        hint = 'Set OPTIONS["keepalives_idle"] (seconds) and OPTIONS["tcp_user_timeout"] (ms).'
        yield caution("A silently dropped connection blocks its worker.", hint, "W009")
    session = _session_settings(str(options.get("options", "")))
    for name, (number, message) in _SESSION.items():
        if _is_endless(session.get(name)):
            hint = f'Set OPTIONS["options"] = "-c {name}=…", or the same on the role.'
            yield caution(f"{message} indefinitely.", hint, number)


def _is_endless(value: object) -> bool:
    return value is None or bool(_ENDLESS.fullmatch(str(value)))


def _session_settings(text: str) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError:
        return {}
    joined = " ".join(words).replace("-c ", "--").replace("-c", "--")
    pairs = (word.removeprefix("--").partition("=") for word in joined.split())
    return {name.replace("-", "_"): value for name, equals, value in pairs if equals}


def _timeouts_of(cache: Mapping[str, Any]) -> set[str]:
    options = subjects.options(dict(cache))
    nested = options.get("CONNECTION_POOL_KWARGS")
    found = [*options.items(), *(nested.items() if isinstance(nested, dict) else ())]
    locations = cache.get("LOCATION", "")
    for location in locations if isinstance(locations, list | tuple) else [locations]:
        found += parse_qsl(urlsplit(str(location)).query)
    return {str(name).lower() for name, value in found if not _is_endless(value)}
