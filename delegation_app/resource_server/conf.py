"""The settings of a resource server: one dict, `DELEGATION_RESOURCE_SERVER`, read when used."""

from __future__ import annotations

from typing import Any, Final

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
    """Return what the site has set; nothing if it is not even a dict, which a check reports."""
    value = getattr(settings, SETTING, {})
    return value if isinstance(value, dict) else {}


class ResourceServerConf:
    """Typed views of `settings.DELEGATION_RESOURCE_SERVER`. Nothing is remembered."""

    def _get(self, name: str) -> Any:
        return configured().get(name, DEFAULTS[name])

    def _required(self, name: str) -> str:
        value = self._get(name)
        if not value:
            message = f'{SETTING}["{name}"] is not set.'
            raise ImproperlyConfigured(message)
        return str(value)

    def _optional(self, name: str) -> str | None:
        value = self._get(name)
        return None if value is None else str(value)

    def _strings(self, name: str) -> tuple[str, ...]:
        value = self._get(name)
        return (value,) if isinstance(value, str) else tuple(value)

    @property
    def issuer(self) -> str:
        """The identifier of the authorization server, an https URL (RFC 8414 section 2).

        Raises:
            ImproperlyConfigured: it is not set.
        """
        return self._required("ISSUER")

    @property
    def audience(self) -> str:
        """The identifier of this resource server, which must stand in `aud`.

        Raises:
            ImproperlyConfigured: it is not set. Without one, tokens for others would be taken.
        """
        return self._required("AUDIENCE")

    @property
    def verifier(self) -> str:
        """How tokens are verified: `offline`, `introspection`, or the dotted path of a class."""
        return str(self._get("VERIFIER"))

    @property
    def client_id(self) -> str:
        """The client as which this service introspects and exchanges.

        Raises:
            ImproperlyConfigured: it is not set.
        """
        return self._required("CLIENT_ID")

    @property
    def client_secret(self) -> str:
        """Its secret.

        Raises:
            ImproperlyConfigured: it is not set.
        """
        return self._required("CLIENT_SECRET")

    @property
    def jwks_uri(self) -> str | None:
        """Where the issuer's keys are; None finds out by discovery (RFC 8414)."""
        return self._optional("JWKS_URI")

    @property
    def poll_seconds(self) -> float:
        """How often status lists are asked for, in seconds."""
        return float(self._get("POLL_SECONDS"))

    @property
    def max_staleness(self) -> float:
        """How long a status list is relied on without an answer, in seconds."""
        return float(self._get("MAX_STALENESS"))

    @property
    def clock_skew_seconds(self) -> float:
        """How many seconds the issuer's clock may differ from the one here."""
        return float(self._get("CLOCK_SKEW_SECONDS"))

    @property
    def token_cache_size(self) -> int:
        """How many verified tokens a process remembers."""
        return int(self._get("TOKEN_CACHE_SIZE"))

    @property
    def introspection_cache_seconds(self) -> float:
        """How long an introspection answer is relied on, in seconds."""
        return float(self._get("INTROSPECTION_CACHE_SECONDS"))

    @property
    def realm(self) -> str | None:
        """What challenges call this service; None is its audience."""
        return self._optional("REALM")

    @property
    def metadata_url(self) -> str:
        """Where the metadata of this resource server is (RFC 9728); empty if nowhere.

        Never from the Host header: that is whatever a client wrote.
        """
        value = self._optional("METADATA_URL")
        return metadata_url(self.audience) if value is None else value

    @property
    def metadata_max_age(self) -> int:
        """How long the metadata may be cached, in seconds."""
        return int(self._get("METADATA_MAX_AGE"))

    @property
    def resource_name(self) -> str | None:
        """The name of this service for people, in its metadata."""
        return self._optional("RESOURCE_NAME")

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that the metadata lists."""
        return self._strings("SCOPES")

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        """The networks of the site's own proxies, whose X-Forwarded-For is believed."""
        return self._strings("TRUSTED_PROXIES")

    @property
    def constraints(self) -> tuple[str, ...]:
        """The dotted paths of constraint classes of other packages."""
        return self._strings("CONSTRAINTS")


conf: Final = ResourceServerConf()
