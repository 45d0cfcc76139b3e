"""The settings of the app: one dict, `DELEGATION`, read when used."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

SETTING: Final = "DELEGATION"

# A token issued before an older change has expired, so no status list considers older changes.
LONGEST_ACCESS_TOKEN: Final = timedelta(hours=24)

DEFAULTS: Final[dict[str, Any]] = {
    "ISSUER": None,
    "ACCESS_TOKEN_LIFETIME": 600,
    "AUTHORIZATION_CODE_LIFETIME": 60,
    "AUTHORIZATION_REQUEST_LIFETIME": 600,
    "DEVICE_CODE_LIFETIME": 600,
    "DEVICE_POLLING_INTERVAL": 5,
    "REFRESH_TOKEN_LIFETIME": 30 * 24 * 3600,
    "REFRESH_RETRY_WINDOW": 60,
    "DELEGATION_LIFETIME": 90 * 24 * 3600,
    "MAX_DEPTH": 8,
    "DEFAULT_AUDIENCE": None,
    "DEFAULT_ACR": "1",
    "SIGNING_ALGORITHM": "ES256",
    "KEY_ENCRYPTION_KEY": None,
    "KEY_CACHE_SECONDS": 30,
    "JWKS_MAX_AGE": 300,
    "FAILED_AUTHENTICATIONS_PER_MINUTE": 10,
    "DEVICE_ATTEMPTS_PER_MINUTE": 5,
    "DEVICE_CODES_PER_ADDRESS": 50,
    "DEVICE_CODES_PER_CLIENT": 10_000,
    "REFUSAL_EVENTS_PER_MINUTE": 60,
    "REFUSAL_EVENTS_PER_MINUTE_TOTAL": 300,
    "NON_INTERACTIVE_CODES_PER_MINUTE": 60,
    "STATUS_LIST_TTL": 5,
    "STATUS_LIST_LIFETIME": 300,
    "STATUS_LIST_CACHE_SECONDS": 1,
    "CACHE": "default",
    "TRUSTED_PROXIES": (),
    "CONSTRAINTS": (),
    "ON_PASSWORD_CHANGE": "keep",
    "ON_EMAIL_CHANGE": "keep",
    "SCOPE_RISKS": {},
    "SECOND_OPERATOR": False,
    "OUTBOX": False,
}

# The effect of a changed password or e-mail address on the user's delegations
KEEP: Final = "keep"
REVOKE: Final = "revoke"

# Risk levels of scopes, in ascending order
RISKS: Final = ("low", "medium", "high")


def configured() -> dict[str, Any]:
    """Return the site's settings; an empty dict if they are not a dict, which a check reports."""
    value = getattr(settings, SETTING, {})
    return value if isinstance(value, dict) else {}


class Conf:
    """Typed properties of `settings.DELEGATION`, read on each access."""

    def _get(self, name: str) -> Any:
        return configured().get(name, DEFAULTS[name])

    def _seconds(self, name: str) -> timedelta:
        return timedelta(seconds=self._get(name))

    def _strings(self, name: str) -> tuple[str, ...]:
        value = self._get(name)
        return (value,) if isinstance(value, str) else tuple(value)

    @property
    def issuer(self) -> str:
        """The issuer identifier, an https URL (RFC 8414 section 2).

        Raises:
            ImproperlyConfigured: the setting is missing; the issuer is never taken from a request.
        """
        issuer = self._get("ISSUER")
        if not issuer:
            message = 'Set DELEGATION["ISSUER"].'
            raise ImproperlyConfigured(message)
        return str(issuer)

    @property
    def issuer_origin(self) -> str:
        """Scheme, host and port of the issuer."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def issuer_path(self) -> str:
        """The path of the issuer without its outer slashes; usually empty."""
        return urlsplit(self.issuer).path.strip("/")

    @property
    def requires_https(self) -> bool:
        """Whether requests over plain http are refused: always, unless the issuer is http."""
        return self.issuer.startswith("https://")

    @property
    def access_token_lifetime(self) -> timedelta:
        """The lifetime of access tokens."""
        return self._seconds("ACCESS_TOKEN_LIFETIME")

    @property
    def authorization_code_lifetime(self) -> timedelta:
        """The lifetime of authorization codes."""
        return self._seconds("AUTHORIZATION_CODE_LIFETIME")

    @property
    def authorization_request_lifetime(self) -> timedelta:
        """How long the user may take to answer a consent page."""
        return self._seconds("AUTHORIZATION_REQUEST_LIFETIME")

    @property
    def device_code_lifetime(self) -> timedelta:
        """How long the user may take to enter a device's code, and the device may poll."""
        return self._seconds("DEVICE_CODE_LIFETIME")

    @property
    def device_polling_interval(self) -> int:
        """The initial polling interval of devices, in seconds."""
        return int(self._get("DEVICE_POLLING_INTERVAL"))

    @property
    def refresh_token_lifetime(self) -> timedelta:
        """The lifetime of an unused refresh token."""
        return self._seconds("REFRESH_TOKEN_LIFETIME")

    @property
    def refresh_retry_window(self) -> timedelta:
        """How long a rotated refresh token may be retried; zero permits no retry.

        For confidential clients; see `Client.refresh_retry_window`.
        """
        return self._seconds("REFRESH_RETRY_WINDOW")

    @property
    def delegation_lifetime(self) -> timedelta | None:
        """The lifetime of delegations; None: until revoked."""
        seconds = self._get("DELEGATION_LIFETIME")
        return None if seconds is None else timedelta(seconds=seconds)

    @property
    def max_depth(self) -> int:
        """The maximum number of onward delegations in a row."""
        return int(self._get("MAX_DEPTH"))

    @property
    def default_audience(self) -> str | None:
        """The audience of clients without a policy."""
        value = self._get("DEFAULT_AUDIENCE")
        return None if value is None else str(value)

    @property
    def default_acr(self) -> str:
        """The `acr` of a sign-in that reports none."""
        return str(self._get("DEFAULT_ACR"))

    @property
    def signing_algorithm(self) -> str:
        """The algorithm of new signing keys: ES256, RS256 or EdDSA."""
        return str(self._get("SIGNING_ALGORITHM"))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that keys are derived from, the current one first."""
        keys = self._get("KEY_ENCRYPTION_KEY")
        if keys is None:
            return tuple(map(str, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)))
        return (keys,) if isinstance(keys, str) else tuple(keys)

    @property
    def key_cache_seconds(self) -> int:
        """How long a process caches the signing keys, in seconds."""
        return int(self._get("KEY_CACHE_SECONDS"))

    @property
    def jwks_max_age(self) -> timedelta:
        """How long verifiers may cache the published keys."""
        return self._seconds("JWKS_MAX_AGE")

    @property
    def failed_authentications_per_minute(self) -> int:
        """The limit of failed authentications per minute, client and address."""
        return int(self._get("FAILED_AUTHENTICATIONS_PER_MINUTE"))

    @property
    def device_attempts_per_minute(self) -> int:
        """The limit of wrong device codes per minute, for each user and each address."""
        return int(self._get("DEVICE_ATTEMPTS_PER_MINUTE"))

    @property
    def device_codes_per_address(self) -> int:
        """The limit of unanswered device codes per address."""
        return int(self._get("DEVICE_CODES_PER_ADDRESS"))

    @property
    def device_codes_per_client(self) -> int:
        """The limit of unanswered device codes per client."""
        return int(self._get("DEVICE_CODES_PER_CLIENT"))

    @property
    def refusal_events_per_minute(self) -> int:
        """How many equal refusals per minute, client and address get an event each."""
        return int(self._get("REFUSAL_EVENTS_PER_MINUTE"))

    @property
    def refusal_events_per_minute_total(self) -> int:
        """How many refusals per minute get an event each, over all callers."""
        return int(self._get("REFUSAL_EVENTS_PER_MINUTE_TOTAL"))

    @property
    def non_interactive_codes_per_minute(self) -> int:
        """The limit of codes without a page per minute, user and client."""
        return int(self._get("NON_INTERACTIVE_CODES_PER_MINUTE"))

    @property
    def status_list_ttl(self) -> int:
        """How often verifiers fetch a status list, in seconds."""
        return int(self._get("STATUS_LIST_TTL"))

    @property
    def status_list_lifetime(self) -> int:
        """The lifetime of a signed status list, in seconds."""
        return int(self._get("STATUS_LIST_LIFETIME"))

    @property
    def status_list_cache_seconds(self) -> int:
        """How long a status list is served without a database query, in seconds."""
        return int(self._get("STATUS_LIST_CACHE_SECONDS"))

    @property
    def cache(self) -> str:
        """The alias of the cache for failed attempts and signed status lists."""
        return str(self._get("CACHE"))

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        """The networks of the site's own proxies, whose X-Forwarded-For is trusted."""
        return self._strings("TRUSTED_PROXIES")

    @property
    def constraints(self) -> tuple[str, ...]:
        """The dotted paths of further constraint classes."""
        return self._strings("CONSTRAINTS")

    @property
    def on_password_change(self) -> str:
        """The effect of a changed password on the user's delegations: keep or revoke."""
        return str(self._get("ON_PASSWORD_CHANGE"))

    @property
    def on_email_change(self) -> str:
        """The effect of a changed e-mail address on the user's delegations: keep or revoke."""
        return str(self._get("ON_EMAIL_CHANGE"))

    @property
    def scope_risks(self) -> dict[str, str]:
        """The risk levels of scopes: low, medium or high."""
        value = self._get("SCOPE_RISKS")
        return value if isinstance(value, dict) else {}

    @property
    def second_operator(self) -> bool:
        """Whether changes that grant more access need a second operator's approval."""
        return bool(self._get("SECOND_OPERATOR"))

    @property
    def outbox(self) -> bool:
        """Whether signals go through the outbox table and `manage.py delegation_outbox`."""
        return self._get("OUTBOX") is True


conf: Final = Conf()
