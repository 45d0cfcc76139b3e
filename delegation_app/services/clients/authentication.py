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
from delegation_app.services.clients.lookup import TARGETS, find
from delegation_app.services.clients.registered_client import RegisteredClient

logger = logger_for("delegation_app")

# Longer secrets are refused without hashing
_LONGEST_SECRET: Final = 1024
_REFUSAL: Final = "Too many failed authentications. Wait a minute."


class _VerifiedSecrets:
    """The verified secrets of this process, as HMACs under a key of the process.

    The slow password hash is computed once per process. The HMAC is bound to the stored hash, so a
    changed secret invalidates it.
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
        """Return whether `secret` is right; None if this process has not verified one."""
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
    """Computes concurrent equal slow hashes once: one thread works, the others wait."""

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
# Timing must not distinguish an unknown client from a wrong secret. Under a flood this is given
# up: client ids are not secrets (RFC 6749 section 2.2).
_wasted = throttle.Allowance()


def forget() -> None:
    """Forget the verified secrets of this process."""
    _verified.forget()
    _verified_former.forget()
    _wasted.renew()


@dataclass(frozen=True, slots=True)
class _Stored:
    """A valid secret of a client: the current or the previous one.

    Attributes:
        hashed: the stored hash.
        memory: the verified secrets of its kind.
        right: whether it matches the sent one; None if that needs a slow hash.
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
    """Return the client that `credentials` authenticate.

    Secrets that need no slow hash are accepted even while an attacker exhausts the attempts of the
    client: generated ones, and typed ones that this process has verified.

    Args:
        credentials: as read from the request.
        ip: the caller's address, for counting failures; None if it is unknown.
        via: see `Sender.via`.
        relation: the resource servers to read with the client.

    Raises:
        InvalidClient: unknown, disabled, wrong secret or wrong method, indistinguishably.
        TooManyAttempts: too many failures of this client, or from this address.

    Side effects: failures are counted in the cache. The first use of a generated secret without a
    stored digest stores it.
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
    """Return whether the client is authenticated; None if that needs a slow hash."""
    if client is None or not _may_use(client, credentials.method):
        return False
    # RFC 6749 section 3.2.1: only a public client identifies itself by its id alone. An empty
    # secret is no secret, even if a row stores one.
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
    """Return whether a secret is right, and whether this thread counted and hashed it."""

    def judge() -> bool:
        with throttle.attempt(*budgets, refusal=_REFUSAL) as attempt:
            right = _hashed_and_compared(client, secret)
            attempt.failed = not right
        return right

    return _flights.result(_verified.mac(client.application.client_secret, secret), judge)


@sensitive_variables("secret")
def _hashed_and_compared(client: RegisteredClient, secret: str) -> bool:
    pk, present = client.application.pk, client.application.client_secret
    # One slow hash per request: with a previous secret, the current one needs none
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
        # Only an optimization: the next process tries again
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
