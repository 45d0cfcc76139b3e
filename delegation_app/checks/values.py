"""Checks of the settings: what is missing, unknown or out of bounds."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Tags, register
from django.db import DatabaseError, InterfaceError

from delegation_app.checks.messages import error
from delegation_app.conf import (
    DEFAULTS,
    KEEP,
    LONGEST_ACCESS_TOKEN,
    REVOKE,
    RISKS,
    SETTING,
    conf,
    configured,
)
from delegation_app.protocol.addresses import check_trusted
from delegation_app.protocol.jwk import ALGORITHMS

_NO_LIMIT: Final = (None, "DELEGATION_LIFETIME")
# As many generations as the column `path` holds
_DEEPEST: Final = 11
_LONGEST: Final = {
    "MAX_DEPTH": _DEEPEST,
    "ACCESS_TOKEN_LIFETIME": int(LONGEST_ACCESS_TOKEN.total_seconds()),
}
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@register(Tags.security)
def check_issuer(**_kwargs: Any) -> list[CheckMessage]:
    """E001: missing. E002: not an https URL (RFC 8414 section 2)."""
    issuer = configured().get("ISSUER")
    if not issuer:
        hint = 'Set DELEGATION = {"ISSUER": "https://…"}.'
        return [error("ISSUER is missing.", hint, "E001")]
    parts = urlsplit(str(issuer))
    secure = parts.scheme == "https" and bool(parts.hostname)
    local = settings.DEBUG and parts.scheme == "http" and parts.hostname in _LOOPBACK
    if (secure or local) and not (parts.query or parts.fragment or str(issuer).endswith("/")):
        return []
    hint = "Use https, no query, no fragment, no final slash; http on this machine in DEBUG only."
    return [error(f"ISSUER {issuer!r} is not an https URL.", hint, "E002")]


@register()
def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """E003: unknown key in DELEGATION. E004: a value that can't be used."""
    return [
        *(error(f"Unknown setting {name}.", f"Known: {', '.join(DEFAULTS)}.", "E003")
          for name in configured() if name not in DEFAULTS),
        *(error(problem, "See the settings table in the README.", "E004")
          for problem in _unusable_values()),
    ]  # fmt: skip


@register()
def check_consequences(**_kwargs: Any) -> list[CheckMessage]:
    """E030: a consequence of a changed password or e-mail address that does not exist."""
    hint = f'Set "{KEEP}" or "{REVOKE}".'
    return [
        error(f"{name} is {configured()[name]!r}.", hint, "E030")
        for name in ("ON_PASSWORD_CHANGE", "ON_EMAIL_CHANGE")
        if configured().get(name, KEEP) not in (KEEP, REVOKE)
    ]


@register()
def check_toolkit(**_kwargs: Any) -> list[CheckMessage]:
    """E005: django-oauth-toolkit, the client registry, is not installed."""
    if apps.is_installed("oauth2_provider"):
        return []
    return [error("oauth2_provider is not installed.", "Add it to INSTALLED_APPS.", "E005")]


@register()
def check_retry_window(**_kwargs: Any) -> list[CheckMessage]:
    """E032: a rotated refresh token is good for a retry longer than an access token lives."""
    window, life = (
        configured().get(name, DEFAULTS[name])
        for name in ("REFRESH_RETRY_WINDOW", "ACCESS_TOKEN_LIFETIME")
    )
    # The default follows the token's life, and what is no number has a check of its own
    is_chosen = "REFRESH_RETRY_WINDOW" in configured()
    if not (is_chosen and _is_count(window) and _is_count(life)) or window <= life:
        return []
    problem = f"REFRESH_RETRY_WINDOW is {window} seconds, longer than an access token lives."
    hint = "Set it to ACCESS_TOKEN_LIFETIME or less: a stolen refresh token is noticed that late."
    return [error(problem, hint, "E032")]


def _unusable_values() -> Iterator[str]:
    if not isinstance(getattr(settings, SETTING, {}), dict):
        yield "DELEGATION must be a dict."
    yield from _unusable_numbers()
    yield from _unusable_networks()
    if not isinstance(outbox := configured().get("OUTBOX", False), bool):
        yield f"OUTBOX must be True or False, not {outbox!r}."
    if conf.signing_algorithm not in ALGORITHMS:
        yield f"SIGNING_ALGORITHM must be one of {', '.join(ALGORITHMS)}."
    if conf.cache not in settings.CACHES:
        yield f"CACHE {conf.cache!r} is not in CACHES."
    yield from _unusable_risks()
    secrets: tuple[object, ...] = conf.secrets
    if not all(isinstance(secret, str) and secret for secret in secrets):
        yield "KEY_ENCRYPTION_KEY must be a string that is not empty, or several."


def _unusable_numbers() -> Iterator[str]:
    for name, default in DEFAULTS.items():
        value = configured().get(name, default)
        if type(default) is int and not (_is_count(value) or (value, name) == _NO_LIMIT):
            yield f"{name} must be a whole number, not {value!r}."
        elif name in _LONGEST and value > _LONGEST[name]:
            yield f"{name} must be at most {_LONGEST[name]}."
    yield from _unusable_status_list()


def _unusable_status_list() -> Iterator[str]:
    ttl, lifetime, kept = (
        configured().get(name, DEFAULTS[name])
        for name in ("STATUS_LIST_TTL", "STATUS_LIST_LIFETIME", "STATUS_LIST_CACHE_SECONDS")
    )
    if not all(map(_is_count, (ttl, lifetime, kept))):
        return
    # draft-ietf-oauth-status-list-20 section 5.1: "ttl" is a positive number
    if not ttl:
        yield "STATUS_LIST_TTL must be at least 1."
    # One that did not change is served until half of its life is over
    if lifetime < 2 * max(ttl, kept):
        longer = "STATUS_LIST_TTL and STATUS_LIST_CACHE_SECONDS"
        yield f"STATUS_LIST_LIFETIME must be at least twice as long as {longer}."


def _unusable_networks() -> Iterator[str]:
    value = configured().get("TRUSTED_PROXIES", ())
    for network in value if isinstance(value, list | tuple) else [value]:
        try:
            check_trusted(str(network))
        except ValueError:
            yield f"TRUSTED_PROXIES must be networks such as 10.0.0.0/8, or unix, not {network!r}."


def _unusable_risks() -> Iterator[str]:
    risks = configured().get("SCOPE_RISKS", {})
    if not isinstance(risks, dict):
        yield "SCOPE_RISKS must be a dict of scopes."
        return
    known = _known_scopes()
    for name, level in risks.items():
        if level not in RISKS:
            yield f"The risk of {name} must be one of {', '.join(RISKS)}, not {level!r}."
        # A slip of the pen would leave the scope that was meant without its mark
        if known is not None and name not in known:
            yield f"SCOPE_RISKS names {name!r}, which is no scope of this site."


def _known_scopes() -> Container[str] | None:
    from delegation_app import toolkit  # noqa: PLC0415 - the check below says if it is missing

    try:
        return toolkit.all_scopes()
    except (DatabaseError, InterfaceError):
        # A site may keep its scopes in tables that are not made yet
        return None


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
