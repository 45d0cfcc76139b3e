"""Checks of the databases' settings."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, register
from django.db import router

from delegation_app.checks.messages import caution, error


@register()
def check_sqlite(**_kwargs: Any) -> list[CheckMessage]:
    """E006: SQLite not IMMEDIATE. E007: not WAL. W001: not synchronous FULL."""
    from delegation_app.models import Delegation  # noqa: PLC0415 - apps not ready above

    database = settings.DATABASES.get(router.db_for_write(Delegation), {})
    if not str(database.get("ENGINE", "")).endswith(".sqlite3"):
        return []
    options = database.get("OPTIONS", {})
    pragmas = str(options.get("init_command", "")).lower().replace(" ", "")
    found: list[CheckMessage] = []
    if str(options.get("transaction_mode", "")).upper() != "IMMEDIATE":
        hint = 'Set OPTIONS["transaction_mode"] = "IMMEDIATE".'
        found.append(error("SQLite would fail with “database is locked”.", hint, "E006"))
    if "journal_mode=wal" not in pragmas:
        hint = 'Set OPTIONS["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;".'
        found.append(error("SQLite readers would wait for writers.", hint, "E007"))
    # FULL is SQLite's own default; only a lower one loses what was told to be durable
    if "synchronous=normal" in pragmas or "synchronous=off" in pragmas:
        hint = "Set PRAGMA synchronous=FULL."
        found.append(caution("A power cut may undo a revocation.", hint, "W001"))
    return found
