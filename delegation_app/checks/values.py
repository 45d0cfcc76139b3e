"""Checks of the settings: what is missing, unknown or unusable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Tags, register

from delegation_app.checks.bounds import BOUNDS
from delegation_app.checks.subjects import error, several
from delegation_app.conf import DEFAULTS, KEEP, REVOKE, RISKS, SETTING, conf, configured
from delegation_app.protocol.audience import is_absolute_uri
from delegation_app.protocol.jwk import ALGORITHMS
from delegation_app.protocol.requests.addresses import check_trusted

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
# SECOND_OPERATOR has a number of its own
_FLAGS: Final = frozenset(
    name for name, default in DEFAULTS.items() if isinstance(default, bool)
) - {"SECOND_OPERATOR"}
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {"SIGNING_ALGORITHM": tuple(ALGORITHMS)}


@register(Tags.security)
def check_issuer(**_kwargs: Any) -> list[CheckMessage]:
    """E001: missing. E002: not an https URL (RFC 8414 section 2)."""
    issuer = configured().get("ISSUER")
    if not issuer:
        hint = 'Set DELEGATION = {"ISSUER": "https://…"}.'
        return [error("ISSUER is missing.", hint, "E001")]
    if _is_issuer(str(issuer)):
        return []
    hint = (
        "Use https without user name, query, fragment and trailing slash; http only on this "
        "machine with DEBUG."
    )
    return [error(f"ISSUER {issuer!r} is not an https URL.", hint, "E002")]


@register()
def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """E003: unknown key in DELEGATION. E004: a value that cannot be used."""
    return [
        *(error(f"Unknown setting {name}.", f"Known: {', '.join(DEFAULTS)}.", "E003")
          for name in configured() if name not in DEFAULTS),
        *(error(problem, "See docs/reference/settings.md.", "E004")
          for problem in _unusable_values()),
    ]  # fmt: skip


@register()
def check_consequences(**_kwargs: Any) -> list[CheckMessage]:
    """E030: an unknown effect of a changed password or e-mail address."""
    hint = f'Set "{KEEP}" or "{REVOKE}".'
    return [
        error(f"{name} is {configured()[name]!r}.", hint, "E030")
        for name in ("ON_PASSWORD_CHANGE", "ON_EMAIL_CHANGE")
        if configured().get(name, KEEP) not in (KEEP, REVOKE)
    ]


@register()
def check_retry_window(**_kwargs: Any) -> list[CheckMessage]:
    """E032: the retry window of refresh tokens exceeds the lifetime of access tokens."""
    window, life = (
        configured().get(name, DEFAULTS[name])
        for name in ("REFRESH_RETRY_WINDOW", "ACCESS_TOKEN_LIFETIME")
    )
    # The default follows the lifetime; another check reports a value that is not a number
    is_chosen = "REFRESH_RETRY_WINDOW" in configured()
    if not (is_chosen and _is_count(window) and _is_count(life)) or window <= life:
        return []
    problem = f"REFRESH_RETRY_WINDOW is {window} seconds, longer than ACCESS_TOKEN_LIFETIME."
    hint = "Set it to ACCESS_TOKEN_LIFETIME or less: the window delays the detection of theft."
    return [error(problem, hint, "E032")]


@register()
def check_time_zones(**_kwargs: Any) -> list[CheckMessage]:
    """E012: Django uses times without a time zone."""
    if settings.USE_TZ:
        return []
    hint = "Set USE_TZ = True."
    return [error("Expiry times need time zones.", hint, "E012")]


def _is_issuer(issuer: str) -> bool:
    try:
        parts = urlsplit(issuer)
        host, _port = parts.hostname, parts.port
    # Brackets without an address in them, or a port that is no number
    except ValueError:
        return False
    if "@" in parts.netloc or "?" in issuer or "#" in issuer or issuer.endswith("/"):
        return False
    if parts.scheme == "http":
        return settings.DEBUG and host in _LOOPBACK
    return parts.scheme == "https" and bool(host)


def _unusable_values() -> Iterator[str]:
    if not isinstance(getattr(settings, SETTING, {}), dict):
        yield f"{SETTING} must be a dict."
    for name, value in configured().items():
        problem = _problem(name, value)
        if problem:
            yield f"{name} {problem}, not {value!r}."
    yield from _unusable_status_list()
    yield from _unusable_networks()
    yield from _unusable_texts()
    yield from _unusable_risks()


def _problem(name: str, value: object) -> str:
    if name in BOUNDS:
        bound = BOUNDS[name]
        if (value is None and bound.optional) or _is_count(value, bound.least, bound.largest):
            return ""
        return f"must be a whole number from {bound.least} to {bound.largest}"
    if name in _FLAGS and not isinstance(value, bool):
        return "must be True or False"
    if name in _CHOICES and value not in _CHOICES[name]:
        return f"must be one of {', '.join(_CHOICES[name])}"
    return ""


def _unusable_status_list() -> Iterator[str]:
    ttl, lifetime, kept = (
        configured().get(name, DEFAULTS[name])
        for name in ("STATUS_LIST_TTL", "STATUS_LIST_LIFETIME", "STATUS_LIST_CACHE_SECONDS")
    )
    if not all(map(_is_count, (ttl, lifetime, kept))):
        return
    # An unchanged list is served until half of its lifetime is over
    if lifetime < 2 * max(ttl, kept):
        longer = "STATUS_LIST_TTL and STATUS_LIST_CACHE_SECONDS"
        yield f"STATUS_LIST_LIFETIME must be at least twice as long as {longer}."


def _unusable_networks() -> Iterator[str]:
    for network in several("TRUSTED_PROXIES"):
        try:
            check_trusted(str(network))
        except ValueError:
            yield f"TRUSTED_PROXIES must be networks such as 10.0.0.0/8, or unix, not {network!r}."


def _unusable_texts() -> Iterator[str]:
    if conf.cache not in settings.CACHES:
        yield f"CACHE {conf.cache!r} is not in CACHES."
    audience = configured().get("DEFAULT_AUDIENCE")
    if audience is not None and not (isinstance(audience, str) and is_absolute_uri(audience)):
        yield f"DEFAULT_AUDIENCE must be an absolute URI, not {audience!r}."
    acr = configured().get("DEFAULT_ACR", DEFAULTS["DEFAULT_ACR"])
    if not (isinstance(acr, str) and acr):
        yield f"DEFAULT_ACR must be a non-empty string, not {acr!r}."
    secrets = several("KEY_ENCRYPTION_KEY")
    is_set = configured().get("KEY_ENCRYPTION_KEY") is not None
    # Without the value: it is a secret, even in the wrong type
    if is_set and not (secrets and all(isinstance(one, str) and one for one in secrets)):
        yield "KEY_ENCRYPTION_KEY must be a non-empty string, or a list of them."


def _unusable_risks() -> Iterator[str]:
    from delegation_app import toolkit  # noqa: PLC0415 - check_toolkit reports if it is missing

    risks = configured().get("SCOPE_RISKS", {})
    if not isinstance(risks, dict):
        yield "SCOPE_RISKS must be a dict of scopes."
        return
    # Scopes in tables are checked where tables may be read (W007)
    known = toolkit.all_scopes() if toolkit.scopes_are_settings() else risks
    for name, level in risks.items():
        if level not in RISKS:
            yield f"The risk of {name} must be one of {', '.join(RISKS)}, not {level!r}."
        # A misspelt name would leave the intended scope without its risk
        if name not in known:
            yield f"SCOPE_RISKS names the unknown scope {name!r}."


def _is_count(value: object, least: int = 0, most: float = float("inf")) -> bool:
    return type(value) is int and least <= value <= most
