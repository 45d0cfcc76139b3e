"""The usable and the safe bounds of each number in `DELEGATION`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from delegation_app.conf import LONGEST_ACCESS_TOKEN

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_YEAR: Final = 365 * _DAY

# Adding more may exceed the calendar
LARGEST: Final = 10**9


@dataclass(frozen=True, slots=True)
class Bound:
    """The bounds of one number.

    Attributes:
        least: the smallest usable value; seconds, or a count.
        most: the largest safe value, in the same unit.
        risk: the risk of a larger value, as the end of a sentence.
        strict: whether a larger value is unusable.
        optional: whether the value may be None.
    """

    least: int
    most: int
    risk: str
    strict: bool = False
    optional: bool = False

    @property
    def largest(self) -> int:
        """The largest usable value."""
        return self.most if self.strict else LARGEST


BOUNDS: Final[Mapping[str, Bound]] = {
    "ACCESS_TOKEN_LIFETIME": Bound(
        1,
        int(LONGEST_ACCESS_TOKEN.total_seconds()),
        "status lists do not cover older tokens",
        strict=True,
    ),
    # RFC 6749 section 4.1.2: "A maximum authorization code lifetime of 10 minutes is RECOMMENDED"
    "AUTHORIZATION_CODE_LIFETIME": Bound(
        1, 10 * _MINUTE, "a code that leaks through a log or a referrer can still be redeemed"
    ),
    "AUTHORIZATION_REQUEST_LIFETIME": Bound(
        1, _HOUR, "a consent page can be answered long after the user has left the screen"
    ),
    # RFC 8628 section 5.1: a longer lifetime makes guessing more worthwhile
    "DEVICE_CODE_LIFETIME": Bound(
        1, 30 * _MINUTE, "an attacker has more time to guess a user code or to trick a user"
    ),
    "DEVICE_POLLING_INTERVAL": Bound(1, _MINUTE, "devices notice the user's answer too late"),
    "REFRESH_TOKEN_LIFETIME": Bound(1, _YEAR, "a refresh token stolen from a backup still works"),
    # RFC 9700 section 4.14.2: a replay within the window is not detected
    "REFRESH_RETRY_WINDOW": Bound(
        0,
        10 * _MINUTE,
        "the use of a stolen refresh token can go undetected",
    ),
    "DELEGATION_LIFETIME": Bound(
        1, 5 * _YEAR, "this is no effective limit; use None instead", optional=True
    ),
    # As many generations as the column `path` holds
    "MAX_DEPTH": Bound(0, 11, "the database cannot store deeper trees", strict=True),
    "KEY_CACHE_SECONDS": Bound(
        0, 5 * _MINUTE, "processes trust a withdrawn signing key for too long"
    ),
    "JWKS_MAX_AGE": Bound(
        0, _DAY, "services trust a withdrawn signing key for too long, and rotation is delayed"
    ),
    "FAILED_AUTHENTICATIONS_PER_MINUTE": Bound(1, 100, "client secrets can be guessed"),
    # RFC 8628 section 5.1: rate-limit the attempts
    "DEVICE_ATTEMPTS_PER_MINUTE": Bound(1, 60, "user codes can be guessed"),
    "DEVICE_CODES_PER_ADDRESS": Bound(1, 1000, "one address can fill the table of device codes"),
    "DEVICE_CODES_PER_CLIENT": Bound(
        1, 100_000, "one client's public id is enough to fill the table of device codes"
    ),
    "REFUSAL_EVENTS_PER_MINUTE": Bound(1, 1000, "one caller can fill the audit trail"),
    "REFUSAL_EVENTS_PER_MINUTE_TOTAL": Bound(1, 10_000, "refusals can fill the audit trail"),
    "NON_INTERACTIVE_CODES_PER_MINUTE": Bound(
        1, 600, "a background page can issue codes for a user without limit"
    ),
    # draft-ietf-oauth-status-list-20 section 5.1: "ttl" is a positive number
    "STATUS_LIST_TTL": Bound(1, _MINUTE, "offline verifiers notice a revocation too late"),
    "STATUS_LIST_LIFETIME": Bound(
        2, _HOUR, "an old status list that hides a revocation can be replayed"
    ),
    "STATUS_LIST_CACHE_SECONDS": Bound(0, 10, "other processes publish a revocation too late"),
}
