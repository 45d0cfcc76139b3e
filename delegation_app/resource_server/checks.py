"""System checks of a resource server, one id per misconfiguration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.urls import Resolver404, resolve
from django.utils.module_loading import import_string
from rest_framework.settings import api_settings

from delegation_app.protocol.audience import is_absolute_uri
from delegation_app.protocol.errors import InvalidScope
from delegation_app.protocol.requests.addresses import check_trusted
from delegation_app.protocol.scope import Scope
from delegation_app.resource_server.challenge import metadata_url
from delegation_app.resource_server.conf import DEFAULTS, SETTING, conf, configured
from delegation_app.resource_server.runtime import INTROSPECTION, OFFLINE

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_PREFIX: Final = "delegation_app.resource_server"
_MIN_SECRET: Final = 20
_NUMBERS: Final = (
    "POLL_SECONDS",
    "MAX_STALENESS",
    "CLOCK_SKEW_SECONDS",
    "TOKEN_CACHE_SIZE",
    "INTROSPECTION_CACHE_SECONDS",
    "METADATA_MAX_AGE",
)
_MAY_BE_ZERO: Final = frozenset(
    {"CLOCK_SKEW_SECONDS", "INTROSPECTION_CACHE_SECONDS", "METADATA_MAX_AGE"}
)
# RFC 7519 section 4.1.4: "usually no more than a few minutes"; here each second prolongs the life
# of an expired token and delays a revocation
_MAX_SKEW: Final = 60
_TEXTS: Final = ("CLIENT_ID", "CLIENT_SECRET", "REALM", "RESOURCE_NAME", "METADATA_URL", "JWKS_URI")
_LISTS: Final = ("SCOPES", "TRUSTED_PROXIES", "CONSTRAINTS")


@register(Tags.security)
def check_audience(**_kwargs: Any) -> list[CheckMessage]:
    """E001: missing. E002: not an absolute URI. W001: not an https URL, so without metadata."""
    audience = configured().get("AUDIENCE")
    if not audience:
        hint = f'Set {SETTING} = {{"AUDIENCE": "https://…"}} to the required value of `aud`.'
        message = "AUDIENCE is missing: tokens for other services would be accepted."
        return [_error(message, hint, "E001")]
    if not isinstance(audience, str) or not is_absolute_uri(audience):
        hint = "Use the identifier of the resource server, such as https://service.example.com."
        return [_error(f"AUDIENCE {audience!r} is not an absolute URI.", hint, "E002")]
    # RFC 9728 section 2: `resource` is an https URL
    if _is_secure(audience) or configured().get("METADATA_URL") == "":
        return []
    hint = 'Use an https URL, or set METADATA_URL = "" to publish no metadata.'
    return [_caution("The audience is not an https URL and has no metadata.", hint, "W001")]


@register(Tags.security)
def check_issuer(**_kwargs: Any) -> list[CheckMessage]:
    """E003: missing. E004: ISSUER, JWKS_URI or METADATA_URL is not an https URL."""
    issuer = configured().get("ISSUER")
    if not issuer:
        hint = f'Set {SETTING} = {{"ISSUER": "https://…"}} to the exact value of `iss`.'
        return [_error("ISSUER is missing.", hint, "E003")]
    found: list[CheckMessage] = []
    hint = "Use https, no query, no fragment, no final slash; http for loopback in DEBUG only."
    parts = urlsplit(str(issuer))
    if not _is_secure(str(issuer)) or parts.query or parts.fragment or str(issuer).endswith("/"):
        found.append(_error(f"ISSUER {issuer!r} is not an https URL.", hint, "E004"))
    for name in ("JWKS_URI", "METADATA_URL"):
        value = configured().get(name)
        if value and not _is_secure(str(value)):
            found.append(_error(f"{name} {value!r} is not an https URL.", hint, "E004"))
    return found


@register()
def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """E005: unknown key. E006: unusable value. E007, E011: times out of bounds."""
    found = [
        _error(f"Unknown setting {name}.", f"Known: {', '.join(DEFAULTS)}.", "E005")
        for name in configured()
        if name not in DEFAULTS
    ]
    hint = "See the settings table in docs/resource-server.md."
    unusable = [_error(problem, hint, "E006") for problem in _unusable_values()]
    return [*found, *(unusable or _out_of_bounds())]


@register()
def check_verifier(**_kwargs: Any) -> list[CheckMessage]:
    """E008: unknown verifier. E009: missing credentials. W002: a guessable secret."""
    found: list[CheckMessage] = []
    if conf.verifier not in {OFFLINE, INTROSPECTION}:
        try:
            import_string(conf.verifier)
        except ImportError:
            hint = f"Use {OFFLINE!r}, {INTROSPECTION!r}, or the dotted path of a class."
            found.append(_error(f"VERIFIER {conf.verifier!r} cannot be imported.", hint, "E008"))
    client_id, secret = configured().get("CLIENT_ID"), configured().get("CLIENT_SECRET")
    if bool(client_id) != bool(secret) or (conf.verifier == INTROSPECTION and not client_id):
        hint = "Set both for introspection and exchanges; offline verification needs neither."
        found.append(_error("CLIENT_ID or CLIENT_SECRET is missing.", hint, "E009"))
    # RFC 6749 section 10.10: secrets must not be guessable
    if secret and len(str(secret)) < _MIN_SECRET:
        hint = "Use a long random secret, from the environment and not from the source."
        found.append(_caution("CLIENT_SECRET is short enough to be guessed.", hint, "W002"))
    return found


@register()
def check_rest_framework(**_kwargs: Any) -> list[CheckMessage]:
    """E010: the user of a request without a token needs an app that is not installed."""
    if apps.is_installed("django.contrib.auth"):
        return []
    chosen = api_settings.user_settings.get(
        "UNAUTHENTICATED_USER", api_settings.defaults["UNAUTHENTICATED_USER"]
    )
    if not str(chosen).startswith("django.contrib.auth."):
        return []
    hint = 'Set REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None}.'
    return [_error("UNAUTHENTICATED_USER needs django.contrib.auth.", hint, "E010")]


@register(Tags.urls)
def check_metadata(**_kwargs: Any) -> list[CheckMessage]:
    """W003: challenges name metadata that this site does not serve."""
    own = configured().get("METADATA_URL") is None
    path = urlsplit(metadata_url(str(configured().get("AUDIENCE"))) if own else "").path
    if not path or not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        resolve(path)
    except Resolver404:
        hint = (
            'Add path("", include("delegation_app.resource_server.urls")) to the URLs, or set '
            "METADATA_URL to its address, or to an empty string."
        )
        return [_caution(f"No URL pattern matches {path}.", hint, "W003")]
    return []


@register(Tags.security)
def check_proxies(**_kwargs: Any) -> list[CheckMessage]:
    """W004: a proxy is trusted with the scheme of requests, but not with addresses."""
    if not getattr(settings, "SECURE_PROXY_SSL_HEADER", None) or configured().get(
        "TRUSTED_PROXIES"
    ):
        return []
    hint = 'Name the networks of the proxy in TRUSTED_PROXIES, or "unix" for a socket.'
    text = "SECURE_PROXY_SSL_HEADER is set and TRUSTED_PROXIES is empty: addresses are unknown."
    return [_caution(text, hint, "W004")]


def _out_of_bounds() -> Iterator[CheckMessage]:
    if conf.max_staleness < conf.poll_seconds:
        hint = "Set it to at least twice POLL_SECONDS, so that one response may be lost."
        message = "MAX_STALENESS is less than POLL_SECONDS: tokens would be refused between polls."
        yield _error(message, hint, "E007")
    if conf.clock_skew_seconds > _MAX_SKEW:
        hint = f"Set it to at most {_MAX_SKEW} seconds, and synchronize the clocks with NTP."
        message = "CLOCK_SKEW_SECONDS is too large: expired tokens would be accepted for long."
        yield _error(message, hint, "E011")


def _unusable_values() -> Iterator[str]:
    if not isinstance(getattr(settings, SETTING, {}), dict):
        yield f"{SETTING} must be a dict."
    given = {name: configured().get(name, default) for name, default in DEFAULTS.items()}
    for name in _NUMBERS:
        if not _is_number(given[name], zero=name in _MAY_BE_ZERO):
            yield f"{name} must be a number above zero, not {given[name]!r}."
    for name in _TEXTS:
        if not isinstance(given[name], str | None):
            # Without the value, which may be a secret of the wrong type
            yield f"{name} must be text."
    for name in _LISTS:
        if not _are_strings(given[name]):
            yield f"{name} must be a list of strings."
            return
    yield from _unusable_members()


def _unusable_members() -> Iterator[str]:
    for network in conf.trusted_proxies:
        try:
            check_trusted(network)
        except ValueError:
            yield f"TRUSTED_PROXIES takes networks such as 10.0.0.0/8, or unix, not {network!r}."
    for name in conf.scopes:
        try:
            is_one = len(Scope.parse(name)) == 1
        except InvalidScope:
            is_one = False
        if not is_one:
            yield f"SCOPES contains {name!r}, which is not a scope name."


def _is_number(value: object, *, zero: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value > 0 or (zero and value == 0)


def _are_strings(value: object) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


def _is_secure(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return settings.DEBUG and parts.scheme == "http" and parts.hostname in _LOOPBACK


def _error(message: str, hint: str, number: str) -> CheckMessage:
    return Error(message, hint, id=f"{_PREFIX}.{number}")


def _caution(message: str, hint: str, number: str) -> CheckMessage:
    return Caution(message, hint, id=f"{_PREFIX}.{number}")
