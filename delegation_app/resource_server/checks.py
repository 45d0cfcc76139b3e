"""System checks of a resource server: each misconfiguration has a number."""

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
_LEAST_SECRET: Final = 20
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
# RFC 7519 section 4.1.4: "usually no more than a few minutes"; here each second is one more for
# a token that is over, and for a revocation
_LARGEST_SKEW: Final = 60
_TEXTS: Final = ("CLIENT_ID", "CLIENT_SECRET", "REALM", "RESOURCE_NAME", "METADATA_URL", "JWKS_URI")
_LISTS: Final = ("SCOPES", "TRUSTED_PROXIES", "CONSTRAINTS")


@register(Tags.security)
def check_audience(**_kwargs: Any) -> list[CheckMessage]:
    """E001: missing. E002: no absolute URI. W001: no https URL, so there is no metadata."""
    audience = configured().get("AUDIENCE")
    if not audience:
        hint = f'Set {SETTING} = {{"AUDIENCE": "https://…"}}: what must stand in `aud`.'
        return [_error("AUDIENCE is missing: tokens for others would be taken.", hint, "E001")]
    if not isinstance(audience, str) or not is_absolute_uri(audience):
        hint = "Use the identifier of the resource server, such as https://service.example.com."
        return [_error(f"AUDIENCE {audience!r} is no absolute URI.", hint, "E002")]
    # RFC 9728 section 2: `resource` is an https URL
    if _is_secure(audience) or configured().get("METADATA_URL") == "":
        return []
    hint = 'Use an https URL, or set METADATA_URL = "" if nobody has to find this service.'
    return [_caution("The audience is no https URL and can have no metadata.", hint, "W001")]


@register(Tags.security)
def check_issuer(**_kwargs: Any) -> list[CheckMessage]:
    """E003: missing. E004: no https URL, of the issuer or of another address."""
    issuer = configured().get("ISSUER")
    if not issuer:
        hint = f'Set {SETTING} = {{"ISSUER": "https://…"}}: exactly as it stands in `iss`.'
        return [_error("ISSUER is missing.", hint, "E003")]
    found: list[CheckMessage] = []
    hint = "Use https, no query, no fragment, no final slash; http on this machine in DEBUG only."
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
    """E005: unknown key. E006: a value that can't be used. E007, E011: times out of bounds."""
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
    """E008: no such verifier. E009: credentials are missing. W002: a secret that can be guessed."""
    found: list[CheckMessage] = []
    if conf.verifier not in {OFFLINE, INTROSPECTION}:
        try:
            import_string(conf.verifier)
        except ImportError:
            hint = f"Use {OFFLINE!r}, {INTROSPECTION!r}, or the dotted path of a class."
            found.append(_error(f"VERIFIER {conf.verifier!r} can't be imported.", hint, "E008"))
    client_id, secret = configured().get("CLIENT_ID"), configured().get("CLIENT_SECRET")
    if bool(client_id) != bool(secret) or (conf.verifier == INTROSPECTION and not client_id):
        hint = "Introspection and exchanges need both; verifying offline needs neither."
        found.append(_error("CLIENT_ID or CLIENT_SECRET is missing.", hint, "E009"))
    # RFC 6749 section 10.10: secrets must not be guessable
    if secret and len(str(secret)) < _LEAST_SECRET:
        hint = "Use a long random secret, from the environment and not from the source."
        found.append(_caution("CLIENT_SECRET is short enough to be guessed.", hint, "W002"))
    return found


@register()
def check_rest_framework(**_kwargs: Any) -> list[CheckMessage]:
    """E010: a request without a token would get a user whose app is not installed."""
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
    """W003: challenges tell of metadata that this site does not have."""
    own = configured().get("METADATA_URL") is None
    path = urlsplit(metadata_url(str(configured().get("AUDIENCE"))) if own else "").path
    if not path or not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        resolve(path)
    except Resolver404:
        hint = (
            'Add path("", include("delegation_app.resource_server.urls")) to the URLs, or set '
            "METADATA_URL to where it is, or to nothing."
        )
        return [_caution(f"Nothing answers at {path}.", hint, "W003")]
    return []


@register(Tags.security)
def check_proxies(**_kwargs: Any) -> list[CheckMessage]:
    """W004: a proxy is believed about https, and about no address."""
    if not getattr(settings, "SECURE_PROXY_SSL_HEADER", None) or configured().get(
        "TRUSTED_PROXIES"
    ):
        return []
    hint = 'Name the networks of the proxy in TRUSTED_PROXIES, or "unix" for a socket.'
    text = "SECURE_PROXY_SSL_HEADER is set and TRUSTED_PROXIES is empty: no address is known."
    return [_caution(text, hint, "W004")]


def _out_of_bounds() -> Iterator[CheckMessage]:
    if conf.max_staleness < conf.poll_seconds:
        hint = "Set it to at least twice POLL_SECONDS, so that one answer may be lost."
        message = (
            "MAX_STALENESS is less than POLL_SECONDS: every token would be refused in between."
        )
        yield _error(message, hint, "E007")
    if conf.clock_skew_seconds > _LARGEST_SKEW:
        hint = f"Set it to at most {_LARGEST_SKEW} seconds, and let NTP set the clocks."
        message = "CLOCK_SKEW_SECONDS is too large: tokens would be taken long after their end."
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
            # Not the value: it may be a secret in the wrong type
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
            yield f"TRUSTED_PROXIES must be networks such as 10.0.0.0/8, or unix, not {network!r}."
    for name in conf.scopes:
        try:
            is_one = len(Scope.parse(name)) == 1
        except InvalidScope:
            is_one = False
        if not is_one:
            yield f"SCOPES has {name!r}, which is not one scope."


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
