"""Keeping access tokens for as long as they are good."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from delegation_app.client.cache.single_flight import Fetched, SingleFlight
from delegation_app.client.target import Target
from delegation_app.client.tokens import Tokens
from delegation_app.protocol.secrets import digest

AHEAD_SECONDS: Final = 60.0
MOST_ENTRIES: Final = 1024
# A token is asked for anew within the hour, however long it would last
_LONGEST: Final = 3600.0
# Of a short life, no more than these parts are given away
_AHEAD_PART: Final = 0.25
_JITTER_PART: Final = 0.25
# For the way to the resource server
_MARGIN_SECONDS: Final = 5.0
_MARGIN_PART: Final = 0.1


@dataclass(frozen=True, slots=True)
class Key:
    """What a token is kept under. Fields beside each other, so no two keys look alike.

    Attributes:
        issuer, client_id: who issues to whom.
        wanted: the audience and the scope.
        subject: the digest of the token that was exchanged for it; None in the client's own name.
    """

    issuer: str
    client_id: str
    wanted: Target
    subject: str | None = None


class TokenCache:
    """Access tokens by key: one request at a time for each, and 60 to 75 seconds ahead of expiry.

    Of a token that lasts less than four minutes, it is a quarter of its life instead of the 60
    seconds. A token without a lifetime is not kept. Safe to share between threads; a child process
    starts with none.

    Args:
        most_entries: beyond that, what was not used for longest is forgotten.
        clock: seconds that never go back.
        now: seconds since the epoch.
        jitter: a number from 0 to 1, so that processes that started together ask apart.
    """

    def __init__(
        self,
        *,
        most_entries: int = MOST_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._kept: SingleFlight[Tokens] = SingleFlight(most_entries=most_entries, clock=clock)
        self._now = now
        self._jitter = jitter

    def get(
        self, key: Hashable, ask: Callable[[], Tokens], *, not_after: float | None = None
    ) -> Tokens:
        """Return a token that is good for a while.

        Args:
            key: see `Key`.
            ask: how to get one.
            not_after: a time that it is not handed out after, in seconds since the epoch.

        Raises:
            ClientError: there is none, and none could be had.

        Side effects: whatever `ask` does, at most once at a time for each key.
        """
        tokens = self._kept.get(key, lambda: self._fetched(ask, not_after))
        # Where the machine slept, its monotonic clock may have slept too
        if tokens.expires_at is not None and tokens.expires_at <= self._now():
            self.forget(key, tokens.access_token)
            tokens = self._kept.get(key, lambda: self._fetched(ask, not_after))
        return tokens

    def forget(self, key: Hashable, access_token: str) -> None:
        """Forget a token that was refused, unless it was replaced already."""
        self._kept.forget(key, lambda tokens: tokens.access_token == access_token)

    def __len__(self) -> int:
        return len(self._kept)

    def _fetched(self, ask: Callable[[], Tokens], not_after: float | None) -> Fetched[Tokens]:
        left = None if not_after is None else not_after - self._now()
        tokens = ask()
        if tokens.expires_in is None:
            return Fetched(tokens, 0, 0)
        life = min(tokens.expires_in, _LONGEST)
        margin = min(_MARGIN_SECONDS, life * _MARGIN_PART)
        # Asking again ahead of time would not get one that outlives the token behind it
        if left is not None and left <= life + 1:
            lasts = max(0, min(left, life - margin))
            return Fetched(tokens, lasts, lasts)
        ahead = min(AHEAD_SECONDS, life * _AHEAD_PART) * (1 + _JITTER_PART * self._jitter())
        return Fetched(tokens, life - ahead, life - margin)


def key_of(issuer: str, client_id: str, wanted: Target, subject_token: str | None = None) -> Key:
    """Return the key for a token; of the subject token it has the digest only."""
    subject = None if subject_token is None else digest(subject_token)
    return Key(issuer, client_id, wanted, subject)
