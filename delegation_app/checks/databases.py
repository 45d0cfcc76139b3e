"""Checks of the database settings. None of them connects."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, register
from django.db import router

from delegation_app import toolkit
from delegation_app.checks import subjects
from delegation_app.checks.subjects import caution, error

SUPPORTED = ("sqlite", "postgresql")


@register()
def check_vendor(**_kwargs: Any) -> list[CheckMessage]:
    """E013: a database without the required constraints and locks. W017: no database."""
    vendor = subjects.vendor(subjects.our_database())
    if vendor in SUPPORTED:
        return []
    alias = subjects.our_alias()
    if not vendor:
        hint = "Configure it before serving requests. Commands without database access work."
        return [caution(f"DATABASES has no database {alias!r}.", hint, "W017")]
    message = f"{vendor} is not supported: it lacks the required conditional constraints and locks."
    hint = f"Use SQLite or PostgreSQL for the alias {alias!r}."
    return [error(message, hint, "E013")]


@register()
def check_sqlite(**_kwargs: Any) -> list[CheckMessage]:
    """E006: SQLite not IMMEDIATE. E007: not WAL. W001: not synchronous FULL."""
    database = subjects.our_database()
    if subjects.vendor(database) != "sqlite":
        return []
    options = subjects.options(database)
    pragmas = str(options.get("init_command", "")).lower().replace(" ", "")
    found: list[CheckMessage] = []
    if str(options.get("transaction_mode", "")).upper() != "IMMEDIATE":
        hint = 'Set OPTIONS["transaction_mode"] = "IMMEDIATE".'
        found.append(error("SQLite would fail with “database is locked”.", hint, "E006"))
    if "journal_mode=wal" not in pragmas:
        hint = 'Set OPTIONS["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;".'
        found.append(error("SQLite readers would wait for writers.", hint, "E007"))
    # FULL is SQLite's default; a lower level can lose commits that were already reported
    if "synchronous=normal" in pragmas or "synchronous=off" in pragmas:
        hint = "Set PRAGMA synchronous=FULL."
        found.append(caution("A power cut may undo a revocation.", hint, "W001"))
    return found


@register()
def check_routers(**_kwargs: Any) -> list[CheckMessage]:
    """E018: users, clients and delegations are spread over several databases."""
    models = [
        *apps.get_app_config("delegation_app").get_models(),
        get_user_model(),
        toolkit.application_model(),
    ]
    aliases = {router.db_for_write(model): model._meta.label for model in models}
    if len(aliases) == 1:
        return []
    where = ", ".join(f"{label} on {alias!r}" for alias, label in sorted(aliases.items()))
    hint = "Route users, applications and delegation_app to one alias in DATABASE_ROUTERS."
    return [error(f"Foreign keys cannot span databases: {where}.", hint, "E018")]
