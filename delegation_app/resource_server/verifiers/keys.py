"""The issuer's published keys, kept in memory."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from delegation_app.client.errors import ClientError
from delegation_app.client.http.transport import Request, Response, Transport, naming
from delegation_app.protocol.errors import TemporarilyUnavailable
from delegation_app.protocol.jose import UnusableKey, VerificationKey
from delegation_app.protocol.printable import logger_for
from delegation_app.resource_server.verifiers.fork_safe import Locked

logger = logger_for(__name__)

# A server publishes a few; what sends thousands shall not fill the memory
_MOST_KEYS: Final = 100
_RETRY_SECONDS: Final = 1.0
_OK: Final = 200
_NOT_MODIFIED: Final = 304


class PublishedKeys(Locked):
    """The keys of one issuer by their `kid` (RFC 7517 section 5).

    A refresh that fails leaves the keys as they are: a server that is down signs nothing either.

    Args:
        address: returns the URL of the JWK Set; may use the network, and raise `ClientError`.
        transport: what sends the requests.
        cooldown: how many seconds lie at least between two requests, whatever tokens say.
        clock: seconds that never go back.
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
        self._asked_at = float("-inf")
        self.generation = 0
        """Goes up whenever the keys change; what was verified before has to be verified again."""

    def require(self) -> None:
        """Make sure that there are keys at all.

        Raises:
            TemporarilyUnavailable: none could be had so far.

        Side effects: network, until there are any, at most once in a cooldown.
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
        """Tell whether a cooldown has passed since the last request."""
        # Without any key everything waits for the first answer
        cooldown = self._cooldown if self._keys else min(self._cooldown, _RETRY_SECONDS)
        return self._clock() - self._asked_at >= cooldown

    def refresh_if_due(self) -> None:
        """Ask for the keys unless somebody just did. Waits for whoever is asking.

        Side effects: network.
        """
        with self._lock:
            if not self.is_due():
                return
            self._asked_at = self._clock()
            try:
                self._ask(self._request())
            except (ClientError, ValueError) as error:
                logger.warning("the keys of the issuer could not be read: %s", error)

    def _ask(self, request: Request) -> None:
        with naming(request):
            answer = self._transport.send(request)
        try:
            self._take(answer)
        except ValueError as error:
            raise ValueError(f"{request.url}: {error}") from error

    def _request(self) -> Request:
        headers = {"Accept": "application/json"}
        if self._etag:
            headers["If-None-Match"] = self._etag
        return Request("GET", self._address(), headers)

    def _take(self, answer: Response) -> None:
        if answer.status == _NOT_MODIFIED:
            return
        if answer.status != _OK:
            raise ValueError(f"the answer has the status {answer.status}")
        keys = read_keys(answer.body)
        if keys != self._keys:
            self._keys = keys
            self.generation += 1
        self._etag = answer.headers.get("etag", "")


def read_keys(body: bytes) -> dict[str, VerificationKey]:
    """Return the keys of a JWK Set that verify signatures of ours.

    Raises:
        ValueError: it is no JWK Set, or none of its keys can be used.
    """
    try:
        document = json.loads(body.decode())
    except RecursionError as error:
        raise ValueError("the JWK Set is nested too deep") from error
    published = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(published, list) or len(published) > _MOST_KEYS:
        raise ValueError("the answer is no JWK Set")
    usable = [key for members in published if (key := _usable(members)) is not None]
    # Two keys under one name: nobody can tell which is meant, so it means neither
    names = Counter(key.kid for key in usable)
    keys = {key.kid: key for key in usable if names[key.kid] == 1}
    if not keys:
        raise ValueError("the JWK Set has no key that can be used")
    return keys


def _usable(members: Any) -> VerificationKey | None:
    # RFC 7517 section 5: keys that are not understood are ignored
    if not isinstance(members, dict):
        return None
    try:
        return VerificationKey.of(members)
    except UnusableKey:
        return None
