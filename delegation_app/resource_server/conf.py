"""The settings of a resource server: the dict `DELEGATION_RESOURCE_SERVER`, read when used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from delegation_app.resource_server.challenge import metadata_url

SETTING: Final = "DELEGATION_RESOURCE_SERVER"

DEFAULTS: Final[dict[str, Any]] = {
    "ISSUER": None,
    "AUDIENCE": None,
    "VERIFIER": "offline",
    "CLIENT_ID": None,
    "CLIENT_SECRET": None,
    "JWKS_URI": None,
    "POLL_SECONDS": 5,
    "MAX_STALENESS": 15,
    "CLOCK_SKEW_SECONDS": 10,
    "TOKEN_CACHE_SIZE": 10_000,
    "INTROSPECTION_CACHE_SECONDS": 2,
    "REALM": None,
    "METADATA_URL": None,
    "METADATA_MAX_AGE": 300,
    "RESOURCE_NAME": None,
    "SCOPES": (),
    "TRUSTED_PROXIES": (),
    "CONSTRAINTS": (),
}


def configured() -> dict[str, Any]:
    """Return the site's settings; empty if they are not a dict, which a check reports."""
    value = getattr(settings, SETTING, {})
    return value if isinstance(value, dict) else {}


T = TypeVar("T")


class Setting(Generic[T]):
    """A typed view of one setting, read at each access.

    Args:
        name: the key of the setting.
        read: converts its value.
        required: whether a missing value raises `ImproperlyConfigured`.
    """

    def __init__(self, name: str, read: Callable[[Any], T], *, required: bool = False) -> None:
        self._name = name
        self._read = read
        self._required = required

    def __get__(self, _instance: object, _owner: type) -> T:
        value = configured().get(self._name, DEFAULTS[self._name])
        if self._required and not value:
            raise ImproperlyConfigured(f'{SETTING}["{self._name}"] is not set.')
        return self._read(value)


def _optional(value: Any) -> str | None:
    return None if value is None else str(value)


def _strings(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


class ResourceServerConf:
    """Typed views of `settings.DELEGATION_RESOURCE_SERVER`; see docs/resource-server.md."""

    issuer = Setting("ISSUER", str, required=True)
    # Without an audience, tokens for other services would be accepted
    audience = Setting("AUDIENCE", str, required=True)
    verifier = Setting("VERIFIER", str)
    client_id = Setting("CLIENT_ID", str, required=True)
    client_secret = Setting("CLIENT_SECRET", str, required=True)
    jwks_uri = Setting("JWKS_URI", _optional)
    poll_seconds = Setting("POLL_SECONDS", float)
    max_staleness = Setting("MAX_STALENESS", float)
    clock_skew_seconds = Setting("CLOCK_SKEW_SECONDS", float)
    token_cache_size = Setting("TOKEN_CACHE_SIZE", int)
    introspection_cache_seconds = Setting("INTROSPECTION_CACHE_SECONDS", float)
    realm = Setting("REALM", _optional)
    metadata_max_age = Setting("METADATA_MAX_AGE", int)
    resource_name = Setting("RESOURCE_NAME", _optional)
    scopes = Setting("SCOPES", _strings)
    trusted_proxies = Setting("TRUSTED_PROXIES", _strings)
    constraints = Setting("CONSTRAINTS", _strings)
    _metadata_url = Setting("METADATA_URL", _optional)

    @property
    def metadata_url(self) -> str:
        """The URL of the metadata of this resource server (RFC 9728); empty for none.

        Never derived from the Host header, which the client controls.
        """
        value = self._metadata_url
        return metadata_url(self.audience) if value is None else value


conf: Final = ResourceServerConf()
