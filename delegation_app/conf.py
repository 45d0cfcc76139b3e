"""The settings of the app: one dict, `DELEGATION`, read when used."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

SETTING: Final = "DELEGATION"

# What ended or shrank longer ago than this can't have a token left that still says otherwise, so no
# status list has to look further back.
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

# What a changed password or e-mail address does to what the user has granted
KEEP: Final = "keep"
REVOKE: Final = "revoke"

# How much harm a scope can do, in rising order
RISKS: Final = ("low", "medium", "high")


def configured() -> dict[str, Any]:
    """Return what the site has set; nothing if it is not even a dict, which a check reports."""
    value = getattr(settings, SETTING, {})
    return value if isinstance(value, dict) else {}


class Conf:
    """Typed views of `settings.DELEGATION`. Nothing is remembered between two reads."""

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
            ImproperlyConfigured: it is not set; it is never taken from a request.
        """
        issuer = self._get("ISSUER")
        if not issuer:
            message = 'DELEGATION["ISSUER"] is not set.'
            raise ImproperlyConfigured(message)
        return str(issuer)

    @property
    def issuer_origin(self) -> str:
        """Scheme, host and port of the issuer."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def issuer_path(self) -> str:
        """The path of the issuer without slashes at its ends; empty for most."""
        return urlsplit(self.issuer).path.strip("/")

    @property
    def requires_https(self) -> bool:
        """Whether requests over plain http are refused: always, unless the issuer is http."""
        return self.issuer.startswith("https://")

    @property
    def access_token_lifetime(self) -> timedelta:
        """How long an access token is valid."""
        return self._seconds("ACCESS_TOKEN_LIFETIME")

    @property
    def authorization_code_lifetime(self) -> timedelta:
        """How long a code may be redeemed."""
        return self._seconds("AUTHORIZATION_CODE_LIFETIME")

    @property
    def authorization_request_lifetime(self) -> timedelta:
        """How long a shown consent page may be answered."""
        return self._seconds("AUTHORIZATION_REQUEST_LIFETIME")

    @property
    def device_code_lifetime(self) -> timedelta:
        """How long a person has to type a device's code, and the device to poll."""
        return self._seconds("DEVICE_CODE_LIFETIME")

    @property
    def device_polling_interval(self) -> int:
        """How many seconds a device waits between two polls, until it is told to slow down."""
        return int(self._get("DEVICE_POLLING_INTERVAL"))

    @property
    def refresh_token_lifetime(self) -> timedelta:
        """How long a refresh token may lie unused."""
        return self._seconds("REFRESH_TOKEN_LIFETIME")

    @property
    def refresh_retry_window(self) -> timedelta:
        """How long a just rotated refresh token still gets its successor; zero is strict.

        For clients that prove themselves; see `Client.refresh_retry_window`.
        """
        return self._seconds("REFRESH_RETRY_WINDOW")

    @property
    def delegation_lifetime(self) -> timedelta | None:
        """How long what a person grants lasts, or None for until it is revoked."""
        seconds = self._get("DELEGATION_LIFETIME")
        return None if seconds is None else timedelta(seconds=seconds)

    @property
    def max_depth(self) -> int:
        """How often authority may be handed on, one after the other."""
        return int(self._get("MAX_DEPTH"))

    @property
    def default_audience(self) -> str | None:
        """The resource server of clients that have no policy."""
        value = self._get("DEFAULT_AUDIENCE")
        return None if value is None else str(value)

    @property
    def default_acr(self) -> str:
        """The `acr` of a sign-in about which nothing more is known."""
        return str(self._get("DEFAULT_ACR"))

    @property
    def signing_algorithm(self) -> str:
        """The algorithm of keys made from now on: ES256, RS256 or EdDSA."""
        return str(self._get("SIGNING_ALGORITHM"))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets from which keys are derived: the current one first, then older ones."""
        keys = self._get("KEY_ENCRYPTION_KEY")
        if keys is None:
            return tuple(map(str, (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)))
        return (keys,) if isinstance(keys, str) else tuple(keys)

    @property
    def key_cache_seconds(self) -> int:
        """How long a process may go on with the signing keys that it read, in seconds."""
        return int(self._get("KEY_CACHE_SECONDS"))

    @property
    def jwks_max_age(self) -> timedelta:
        """How long verifiers may cache the published keys."""
        return self._seconds("JWKS_MAX_AGE")

    @property
    def failed_authentications_per_minute(self) -> int:
        """How many wrong secrets a client and address may send in a minute."""
        return int(self._get("FAILED_AUTHENTICATIONS_PER_MINUTE"))

    @property
    def device_attempts_per_minute(self) -> int:
        """How many wrong device codes a person, and an address, may type in a minute."""
        return int(self._get("DEVICE_ATTEMPTS_PER_MINUTE"))

    @property
    def device_codes_per_address(self) -> int:
        """How many device codes that wait for an answer an address may have."""
        return int(self._get("DEVICE_CODES_PER_ADDRESS"))

    @property
    def device_codes_per_client(self) -> int:
        """How many device codes that wait for an answer a client may have."""
        return int(self._get("DEVICE_CODES_PER_CLIENT"))

    @property
    def refusal_events_per_minute(self) -> int:
        """How many like refusals by a client and address are events of their own."""
        return int(self._get("REFUSAL_EVENTS_PER_MINUTE"))

    @property
    def refusal_events_per_minute_total(self) -> int:
        """How many refusals are events of their own, whoever causes them."""
        return int(self._get("REFUSAL_EVENTS_PER_MINUTE_TOTAL"))

    @property
    def non_interactive_codes_per_minute(self) -> int:
        """How many codes a client may get for a person without a page."""
        return int(self._get("NON_INTERACTIVE_CODES_PER_MINUTE"))

    @property
    def status_list_ttl(self) -> int:
        """After how many seconds a verifier shall ask for a status list again."""
        return int(self._get("STATUS_LIST_TTL"))

    @property
    def status_list_lifetime(self) -> int:
        """How many seconds a signed status list may be relied on, if there is no newer one."""
        return int(self._get("STATUS_LIST_LIFETIME"))

    @property
    def status_list_cache_seconds(self) -> int:
        """For how many seconds a status list is served without looking at the tables again."""
        return int(self._get("STATUS_LIST_CACHE_SECONDS"))

    @property
    def cache(self) -> str:
        """The alias of the cache that counts failed attempts and keeps signed status lists."""
        return str(self._get("CACHE"))

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        """The networks of the site's own proxies, whose X-Forwarded-For is believed."""
        return self._strings("TRUSTED_PROXIES")

    @property
    def constraints(self) -> tuple[str, ...]:
        """The dotted paths of constraint classes of other packages."""
        return self._strings("CONSTRAINTS")

    @property
    def on_password_change(self) -> str:
        """Whether a user's delegations end when their password changes: keep or revoke."""
        return str(self._get("ON_PASSWORD_CHANGE"))

    @property
    def on_email_change(self) -> str:
        """Whether a user's delegations end when their e-mail address changes: keep or revoke."""
        return str(self._get("ON_EMAIL_CHANGE"))

    @property
    def scope_risks(self) -> dict[str, str]:
        """The risk of those scopes that the site has judged: low, medium or high."""
        value = self._get("SCOPE_RISKS")
        return value if isinstance(value, dict) else {}

    @property
    def second_operator(self) -> bool:
        """Whether a change that widens what a client may do waits for another operator."""
        return bool(self._get("SECOND_OPERATOR"))

    @property
    def outbox(self) -> bool:
        """Whether signals are promised in a table and sent by `manage.py delegation_outbox`."""
        return self._get("OUTBOX") is True


conf: Final = Conf()
