"""Authenticating clients (RFC 6749 section 2.3)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Final

from django.db import DatabaseError, InterfaceError
from django.views.decorators.debug import sensitive_variables

from delegation_app import toolkit
from delegation_app.conf import conf
from delegation_app.protocol.errors import InvalidClient
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.requests.client_auth import PresentedCredentials
from delegation_app.services.clients import secrets as client_secrets
from delegation_app.services.clients import throttle
from delegation_app.services.clients.lookup import TARGETS, RegisteredClient, find

logger = logger_for("delegation_app")

# More than any form or generator makes; nothing longer is hashed
_LONGEST_SECRET: Final = 1024
_REFUSAL: Final = "Too many failed authentications. Wait a minute."


class _VerifiedSecrets:
    """Which secrets this process has verified, as an HMAC under a key that dies with it.

    A slow password hash is paid once per process: from then on the right secret is known, and so
    is that another one is wrong. The HMAC is bound to the stored hash, so a changed secret ends it.
    """

    _MOST: Final = 4096

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[int, tuple[bytes, bytes]] = OrderedDict()
        self._lock = Lock()

    def remember(self, pk: int, stored: str, secret: str) -> None:
        with self._lock:
            self._known[pk] = (self.mac(stored, ""), self.mac(stored, secret))
            self._known.move_to_end(pk)
            while len(self._known) > self._MOST:
                self._known.popitem(last=False)

    def judge(self, pk: int, stored: str, secret: str) -> bool | None:
        """Return whether `secret` is right; None if this process does not know the right one."""
        stored_mac, right = self._known.get(pk, (b"", b""))
        if not hmac.compare_digest(stored_mac, self.mac(stored, "")):
            return None
        return hmac.compare_digest(right, self.mac(stored, secret))

    def forget(self) -> None:
        with self._lock:
            self._known.clear()

    def mac(self, stored: str, secret: str) -> bytes:
        message = f"{len(stored)}:{stored}{secret}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).digest()


class _Flights:
    """Of threads that need the same slow hash at the same time one works and the others wait."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way: dict[bytes, Future[bool]] = {}

    def result(self, key: bytes, work: Callable[[], bool]) -> tuple[bool, bool]:
        """Return what `work` returned, and whether it ran in this thread.

        Raises:
            Exception: what `work` raised in this thread. Where it raises in another one, that had
                its own reason, such as its address, and a thread that waited for it works itself.
        """
        while True:
            with self._lock:
                flight = self._under_way.get(key)
                if flight is None:
                    mine = self._under_way[key] = Future()
                    break
            if flight.exception() is None:
                return flight.result(), False
        try:
            mine.set_result(work())
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._under_way[key]
        return mine.result(), True


_verified = _VerifiedSecrets()
_verified_former = _VerifiedSecrets()
_flights = _Flights()
# An unknown client is not to be told from a wrong secret by its time. Under a flood that ends: the
# time of all is worth more than the names of clients, which are no secrets (RFC 6749 section 2.2).
_wasted = throttle.Allowance()


def forget() -> None:
    """Forget which secrets this process has verified: each pays its slow hash once more."""
    _verified.forget()
    _verified_former.forget()
    _wasted.renew()


@dataclass(frozen=True, slots=True)
class _Stored:
    """One of the secrets that a client may send: the present one, or a former one.

    Attributes:
        hashed: what is stored of it.
        memory: what this process knows of such secrets.
        right: whether it is the one that was sent; None if only a slow hash can say.
    """

    hashed: str
    memory: _VerifiedSecrets
    right: bool | None


def authenticate(
    credentials: PresentedCredentials,
    *,
    ip: str | None,
    via: Sequence[str] = (),
    relation: str = TARGETS,
) -> RegisteredClient:
    """Return the client that `credentials` prove.

    What can be judged without a slow hash passes even while an attacker exhausts the attempts of
    that client: a random secret, and a typed one that this process verified before.

    Args:
        credentials: as read from the request.
        ip: the caller's address, for counting failures; None if it is unknown.
        via: see `Sender.via`.
        relation: which resource servers to read with the client.

    Raises:
        InvalidClient: unknown, disabled, wrong secret or wrong method; all look the same.
        TooManyAttempts: too many failures of this client, or from this address.

    Side effects: failures are counted in the cache. The first use of a random secret whose digest
    is not on file yet writes that.
    """
    client = find(credentials.client_id, relation)
    proven = _judged_quickly(client, credentials)
    if client is not None and proven:
        return client
    known = client is not None
    budgets = throttle.of_client(credentials.client_id, ip, via, known=known)
    hashed_here = False
    if client is not None and proven is None:
        proven, hashed_here = _judged_slowly(client, credentials.secret or "", budgets)
        if proven:
            return client
    if not hashed_here:
        _count_failure(budgets, waste=bool(credentials.secret) and proven is False)
    raise InvalidClient("Client authentication failed.", detail=_reason(client, credentials))


def _judged_quickly(
    client: RegisteredClient | None, credentials: PresentedCredentials
) -> bool | None:
    """Return whether the client is proven; None if only a slow hash can say."""
    if client is None or not _may_use(client, credentials.method):
        return False
    # RFC 6749 section 3.2.1: only a public client identifies itself by its id alone. An empty
    # secret is none, even where a row was stored with one.
    if not credentials.secret:
        return not client.is_confidential
    if len(credentials.secret.encode("utf-8", "surrogatepass")) > _LONGEST_SECRET:
        return False
    found = [stored.right for stored in _stored(client, credentials.secret)]
    if None in found and True not in found:
        return None
    return True in found


def _may_use(client: RegisteredClient, method: str) -> bool:
    return client.policy.enabled and method in client.auth_methods


@sensitive_variables("secret")
def _judged_slowly(
    client: RegisteredClient, secret: str, budgets: Sequence[throttle.Budget]
) -> tuple[bool, bool]:
    """Return whether a secret is right, and whether it was this thread that counted and hashed."""

    def judge() -> bool:
        with throttle.attempt(*budgets, refusal=_REFUSAL) as attempt:
            right = _hashed_and_compared(client, secret)
            attempt.failed = not right
        return right

    return _flights.result(_verified.mac(client.application.client_secret, secret), judge)


@sensitive_variables("secret")
def _hashed_and_compared(client: RegisteredClient, secret: str) -> bool:
    pk, present = client.application.pk, client.application.client_secret
    # One slow hash for each request: where a former secret goes on, the present one needs none
    for stored in _stored(client, secret):
        if stored.right is None and toolkit.hashed_secret_matches(stored.hashed, secret):
            stored.memory.remember(pk, stored.hashed, secret)
            if stored.hashed == present:
                _keep_digest(client, secret)
            return True
    return False


def _stored(client: RegisteredClient, secret: str) -> Iterator[_Stored]:
    application = client.application
    former = client_secrets.former_of(application)
    candidates = [
        (
            application.client_secret,
            _verified,
            client_secrets.quickly_judged(application, former, secret),
        )
    ]
    if former is not None:
        right = client_secrets.quickly_judged_former(former, secret)
        candidates.append((former.hashed, _verified_former, right))
    for hashed, memory, right in candidates:
        known = memory.judge(application.pk, hashed, secret) if right is None else right
        yield _Stored(hashed, memory, known)


@sensitive_variables("secret")
def _keep_digest(client: RegisteredClient, secret: str) -> None:
    try:
        client_secrets.keep_digest_if_random(client.application, secret)
    except (DatabaseError, InterfaceError):
        # It only saves time: the next process tries again
        logger.exception("the digest of a secret was not kept")


def _count_failure(budgets: Sequence[throttle.Budget], *, waste: bool) -> None:
    with throttle.attempt(*budgets, refusal=_REFUSAL) as attempt:
        attempt.failed = True
        if waste and _wasted.spend(conf.failed_authentications_per_minute):
            toolkit.waste_time()


def _reason(client: RegisteredClient | None, credentials: PresentedCredentials) -> str:
    if client is None:
        return "unknown client"
    if not client.policy.enabled:
        return "client disabled"
    if credentials.method not in client.auth_methods:
        return f"method {credentials.method} is not this client's"
    return "wrong secret"
