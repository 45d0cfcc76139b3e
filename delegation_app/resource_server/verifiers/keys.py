"""The issuer's published keys in memory."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from delegation_app.client.errors import ClientError
from delegation_app.client.http.fork_safety import Locked
from delegation_app.client.http.transport import Request, Response, Transport, with_address
from delegation_app.protocol.errors import TemporarilyUnavailable
from delegation_app.protocol.jose import UnusableKey, VerificationKey
from delegation_app.protocol.printable import logger_for

logger = logger_for(__name__)

# An issuer publishes a few; thousands would fill the memory
_MAX_KEYS: Final = 100
_RETRY_SECONDS: Final = 1.0
_OK: Final = 200
_NOT_MODIFIED: Final = 304


class PublishedKeys(Locked):
    """The keys of one issuer by their `kid` (RFC 7517 section 5).

    A failed refresh keeps the keys: a server that is down signs nothing either.

    Args:
        address: returns the URL of the JWK Set; may use the network, and raise `ClientError`.
        transport: sends the requests.
        cooldown: the shortest time between two requests in seconds, even if tokens name new keys.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        address: Callable[[], str],
        transport: Transport,
        *,
        cooldown: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._address = address
        self._transport = transport
        self._cooldown = cooldown
        self._clock = clock
        self._keys: Mapping[str, VerificationKey] = {}
        self._etag = ""
        self._fetched_at = float("-inf")
        self.generation = 0
        """Increases when the keys change; cached tokens are then verified again."""

    def require(self) -> None:
        """Fetch the keys if there are none.

        Raises:
            TemporarilyUnavailable: there are still none.

        Side effects: network until the first success, at most once per cooldown.
        """
        if self._keys:
            return
        self.refresh_if_due()
        if not self._keys:
            raise TemporarilyUnavailable("Try again in a moment.", detail="no keys of the issuer")

    def get(self, kid: str) -> VerificationKey | None:
        """Return the key with this `kid`, or None. Never uses the network."""
        return self._keys.get(kid)

    def is_due(self) -> bool:
        """Return whether the cooldown since the last request is over."""
        # Shorter without keys, when every request waits for the first response
        cooldown = self._cooldown if self._keys else min(self._cooldown, _RETRY_SECONDS)
        return self._clock() - self._fetched_at >= cooldown

    def refresh_if_due(self) -> None:
        """Fetch the keys unless the cooldown runs. Waits for a fetch in another thread.

        Side effects: network.
        """
        with self._lock:
            if not self.is_due():
                return
            self._fetched_at = self._clock()
            try:
                self._fetch(self._request())
            except (ClientError, ValueError) as error:
                logger.warning("the keys of the issuer could not be read: %s", error)

    def _fetch(self, request: Request) -> None:
        with with_address(request):
            response = self._transport.send(request)
        try:
            self._store(response)
        except ValueError as error:
            raise ValueError(f"{request.url}: {error}") from error

    def _request(self) -> Request:
        headers = {"Accept": "application/json"}
        if self._etag:
            headers["If-None-Match"] = self._etag
        return Request("GET", self._address(), headers)

    def _store(self, response: Response) -> None:
        if response.status == _NOT_MODIFIED:
            return
        if response.status != _OK:
            raise ValueError(f"the response has the status {response.status}")
        keys = read_keys(response.body)
        if keys != self._keys:
            self._keys = keys
            self.generation += 1
        self._etag = response.headers.get("etag", "")


def read_keys(body: bytes) -> dict[str, VerificationKey]:
    """Return the usable keys of a JWK Set by `kid`.

    Raises:
        ValueError: it is not a JWK Set, or has no usable key.
    """
    try:
        document = json.loads(body.decode())
    except RecursionError as error:
        raise ValueError("the JWK Set is nested too deeply") from error
    published = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(published, list) or len(published) > _MAX_KEYS:
        raise ValueError("the response is not a JWK Set")
    usable = [key for members in published if (key := _usable(members)) is not None]
    # A `kid` of two keys is ambiguous, so neither is used
    names = Counter(key.kid for key in usable)
    keys = {key.kid: key for key in usable if names[key.kid] == 1}
    if not keys:
        raise ValueError("the JWK Set has no usable key")
    return keys


def _usable(members: Any) -> VerificationKey | None:
    # RFC 7517 section 5: unknown keys are ignored
    if not isinstance(members, dict):
        return None
    try:
        return VerificationKey.of(members)
    except UnusableKey:
        return None
