"""The parts that all verifiers share: the cache of verified tokens, and the order of the checks."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from delegation_app.client.http.fork_safety import Locked
from delegation_app.protocol import jose
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.verified_token import Call, VerifiedToken
from delegation_app.resource_server.verifiers.poller import Poller

V = TypeVar("V")

DEFAULT_SIZE: Final = 10_000


class VerifiedTokenCache(Locked, Generic[V]):
    """Values by the digest of a token, for a bounded number of tokens.

    A full cache drops its oldest entry: tokens expire after minutes, so it is the next to expire.

    Args:
        size: the number of tokens.
    """

    def __init__(self, size: int = DEFAULT_SIZE) -> None:
        super().__init__()
        self._size = size
        self._entries: dict[bytes, V] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[bytes]:
        return iter(list(self._entries))

    def get(self, digest: bytes) -> V | None:
        """Return the value of a token, or None."""
        return self._entries.get(digest)

    def put(self, digest: bytes, value: V) -> None:
        """Store the value of a token."""
        with self._lock:
            self._entries.pop(digest, None)
            if len(self._entries) >= self._size:
                self._entries.pop(next(iter(self._entries)), None)
            self._entries[digest] = value


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """A cached token, with the generation of keys or the time that it was verified at."""

    token: VerifiedToken
    stamp: float


class CachingVerifier(ABC):
    """A verifier that remembers verified tokens, and checks times and constraints for each call.

    Args:
        issuer: the identifier of the authorization server, an https URL.
        audience: the identifier of this resource server, the required value of `aud`.
        cache_size: the number of remembered tokens.
        skew_seconds: the allowed difference of the issuer's clock.
        clock: returns seconds since the epoch.

    Raises:
        ValueError: the issuer or the audience is missing.
    """

    _poller: Poller | None = None

    def __init__(
        self,
        issuer: str,
        audience: str,
        *,
        cache_size: int,
        skew_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        # RFC 9700 section 2.3: a verifier without an audience would accept tokens for others
        if not issuer or not audience:
            raise ValueError("a verifier needs an issuer and an audience")
        self._issuer, self._audience = issuer, audience
        self._skew, self._clock = skew_seconds, clock
        self._cache = VerifiedTokenCache[VerifiedEntry](cache_size)

    @property
    def audience(self) -> str:
        """The identifier of the resource server that verifies."""
        return self._audience

    def verify(self, text: str, call: Call = Call()) -> VerifiedToken:
        """Verify an access token.

        Args:
            text: the token as presented.
            call: the request that presents it.

        Raises:
            InvalidToken: the token is not valid; the description does not say why.
            OutsideLimits: the token is valid, but a constraint does not permit this call.
            TemporarilyUnavailable: its validity is unknown at the moment.

        Side effects: network; see the class.
        """
        if self._poller is not None:
            self._poller.ensure()
        if len(text) > jose.MAX_TOKEN_LENGTH:
            raise InvalidToken("The access token is not valid.", detail="too long")
        now = self._clock()
        digest = digest_of(text)
        entry = self._cache.get(digest)
        if entry is None or not self._is_current(entry, now):
            entry = self._verify(text, now)
            self._cache.put(digest, entry)
        token = entry.token
        # Again for a cached token, with the same text in the log
        jose.check_times(token.claims, now, skew=self._skew)
        self._check_status(token)
        token.enforce(self._audience, call, now)
        return token

    @abstractmethod
    def _is_current(self, entry: VerifiedEntry, now: float) -> bool: ...

    @abstractmethod
    def _verify(self, text: str, now: float) -> VerifiedEntry: ...

    @abstractmethod
    def _check_status(self, token: VerifiedToken) -> None: ...


def digest_of(text: str) -> bytes:
    """Return the cache key of a token, which does not reveal its text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
