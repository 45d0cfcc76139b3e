"""Authenticating clients (RFC 6749 section 2.3)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from threading import Lock
from typing import Final

from delegation_app import toolkit
from delegation_app.protocol.client_auth import Credentials
from delegation_app.protocol.errors import InvalidClient
from delegation_app.services import client_secrets, throttle
from delegation_app.services.clients import TARGETS, Client, find


class _VerifiedSecrets:
    """Which secrets this process has verified, as an HMAC under a key that dies with it.

    A slow password hash is paid once per process. The HMAC is bound to the stored hash, so a
    changed secret ends it.
    """

    _MOST: Final = 4096

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()

    def remember(self, pk: int, stored: str, secret: str) -> None:
        with self._lock:
            self._known[pk] = self._mac(stored, secret)
            self._known.move_to_end(pk)
            while len(self._known) > self._MOST:
                self._known.popitem(last=False)

    def knows(self, pk: int, stored: str, secret: str) -> bool:
        known = self._known.get(pk, b"")
        return hmac.compare_digest(known, self._mac(stored, secret))

    def forget(self) -> None:
        with self._lock:
            self._known.clear()

    def _mac(self, stored: str, secret: str) -> bytes:
        message = f"{len(stored)}:{stored}{secret}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).digest()


_verified = _VerifiedSecrets()
_verified_former = _VerifiedSecrets()


def forget() -> None:
    """Forget which secrets this process has verified: each pays its slow hash once more."""
    _verified.forget()
    _verified_former.forget()


def authenticate(credentials: Credentials, *, ip: str | None, relation: str = TARGETS) -> Client:
    """Return the client that `credentials` prove.

    A secret that this process verified before passes even while an attacker exhausts the
    attempts of that client; everybody else waits.

    Args:
        credentials: as read from the request.
        ip: the peer's address, for counting failures.
        relation: which resource servers to read with the client.

    Raises:
        InvalidClient: unknown, disabled, wrong secret or wrong method; all look the same.
        TooManyAttempts: this client failed too often from this address.
    """
    client = find(credentials.client_id, relation)
    if client is not None and _is_proven(client, credentials, ip):
        return client
    if client is None and credentials.secret:
        throttle.refuse_if_exhausted(client_id=credentials.client_id, ip=ip)
        toolkit.waste_time_on(credentials.secret)
    throttle.count_failure(client_id=credentials.client_id, ip=ip)
    raise InvalidClient("Client authentication failed.", detail=_reason(client, credentials))


def _is_proven(client: Client, credentials: Credentials, ip: str | None) -> bool:
    if not credentials.secret:
        # RFC 6749 section 3.2.1: only a public client identifies itself by its id alone. An empty
        # secret is none, even where a row was stored with one.
        proven = not client.is_confidential
    else:
        proven = _secret_is_right(client, credentials.secret, ip)
    return proven and client.policy.enabled and credentials.method in client.auth_methods


def _secret_is_right(client: Client, secret: str, ip: str | None) -> bool:
    pk, stored = client.application.pk, client.application.client_secret
    former = client_secrets.former_of(client.application)
    if _verified.knows(pk, stored, secret):
        return True
    if former is not None and _verified_former.knows(pk, former.hashed, secret):
        return True
    throttle.refuse_if_exhausted(client_id=client.client_id, ip=ip)
    if client_secrets.is_current(client.application, former, secret):
        _verified.remember(pk, stored, secret)
        return True
    # One slow hash for each request, of this one or of the one above: who waits learns nothing
    if former is not None and toolkit.hashed_secret_matches(former.hashed, secret):
        _verified_former.remember(pk, former.hashed, secret)
        return True
    return False


def _reason(client: Client | None, credentials: Credentials) -> str:
    if client is None:
        return "unknown client"
    if not client.policy.enabled:
        return "client disabled"
    if credentials.method not in client.auth_methods:
        return f"method {credentials.method} is not this client's"
    return "wrong secret"
