"""Tokens that were verified already."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from delegation_app.resource_server.verifiers.fork_safe import Locked

V = TypeVar("V")

DEFAULT_SIZE: Final = 10_000


class VerifiedTokenCache(Locked, Generic[V]):
    """What was found out about tokens, by the digest of their text, for a bounded number of them.

    When it is full, the oldest goes: tokens end after minutes, so it is the next to end as well.

    Args:
        size: how many tokens are remembered.
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
        """Return what is known of a token."""
        return self._entries.get(digest)

    def put(self, digest: bytes, known: V) -> None:
        """Remember it."""
        with self._lock:
            self._entries.pop(digest, None)
            if len(self._entries) >= self._size:
                self._entries.pop(next(iter(self._entries)), None)
            self._entries[digest] = known

    def forget(self, digest: bytes) -> None:
        """Remember it no more."""
        with self._lock:
            self._entries.pop(digest, None)


def digest_of(text: str) -> bytes:
    """Return the key of a token: no text of a token is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
