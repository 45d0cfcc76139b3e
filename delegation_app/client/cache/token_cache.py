"""A cache of access tokens."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from delegation_app.client.cache.single_flight import Fetched, SingleFlight
from delegation_app.client.tokens import Target, Tokens
from delegation_app.protocol.secrets import digest

AHEAD_SECONDS: Final = 60.0
MAX_ENTRIES: Final = 1024
# Even a token with a longer lifetime is renewed within the hour
_MAX_LIFETIME: Final = 3600.0
# The largest parts of a short lifetime
_AHEAD_PART: Final = 0.25
_JITTER_PART: Final = 0.25
# For the way to the resource server
_MARGIN_SECONDS: Final = 5.0
_MARGIN_PART: Final = 0.1


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a cached token. Separate fields, so that no two keys collide.

    Attributes:
        issuer, client_id: of the token.
        target: the audience and the scope.
        subject: the digest of the exchanged token; None for client credentials.
    """

    issuer: str
    client_id: str
    target: Target
    subject: str | None = None


class TokenCache:
    """Access tokens by key, renewed 60 to 75 seconds before they expire, by one request per key.

    A token with a lifetime below four minutes is renewed in its last quarter. A token without a
    lifetime is not cached. Safe to share between threads; a child process starts empty.

    Args:
        max_entries: above this, the least recently used entry is dropped.
        clock: returns monotonic seconds.
        now: returns seconds since the epoch.
        jitter: returns a number from 0 to 1, which spreads the renewals of many processes.
    """

    def __init__(
        self,
        *,
        max_entries: int = MAX_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._entries: SingleFlight[Tokens] = SingleFlight(max_entries=max_entries, clock=clock)
        self._now = now
        self._jitter = jitter

    def get(
        self, key: Hashable, fetch: Callable[[], Tokens], *, not_after: float | None = None
    ) -> Tokens:
        """Return a usable token.

        Args:
            key: see `Key`.
            fetch: obtains a token.
            not_after: the end of its use, in seconds since the epoch.

        Raises:
            ClientError: none is cached and `fetch` failed.

        Side effects: those of `fetch`, at most once at a time per key.
        """
        tokens = self._entries.get(key, lambda: self._fetched(fetch, not_after))
        # The monotonic clock may have stopped while the machine slept
        if tokens.expires_at is not None and tokens.expires_at <= self._now():
            self.forget(key, tokens.access_token)
            tokens = self._entries.get(key, lambda: self._fetched(fetch, not_after))
        return tokens

    def forget(self, key: Hashable, access_token: str) -> None:
        """Remove a refused token, unless it is already replaced."""
        self._entries.forget(key, lambda tokens: tokens.access_token == access_token)

    def __len__(self) -> int:
        return len(self._entries)

    def _fetched(self, fetch: Callable[[], Tokens], not_after: float | None) -> Fetched[Tokens]:
        left = None if not_after is None else not_after - self._now()
        tokens = fetch()
        if tokens.expires_in is None:
            return Fetched(tokens, 0, 0)
        life = min(tokens.expires_in, _MAX_LIFETIME)
        margin = min(_MARGIN_SECONDS, life * _MARGIN_PART)
        # Asking again ahead of time would not get one that outlives the token behind it
        if left is not None and left <= life + 1:
            lasts = max(0, min(left, life - margin))
            return Fetched(tokens, lasts, lasts)
        ahead = min(AHEAD_SECONDS, life * _AHEAD_PART) * (1 + _JITTER_PART * self._jitter())
        return Fetched(tokens, life - ahead, life - margin)


def key_of(issuer: str, client_id: str, target: Target, subject_token: str | None = None) -> Key:
    """Return the key for a token, with the digest of the subject token."""
    subject = None if subject_token is None else digest(subject_token)
    return Key(issuer, client_id, target, subject)
