"""Signing keys: created on first use, published before use, retired after their last token."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.db import DatabaseError, InterfaceError
from django.db.models import Max, Q, QuerySet

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import KEY_CREATED, KEY_ROTATED
from delegation_app.models import AccessToken, ClientPolicy, SigningKey
from delegation_app.protocol import jwk
from delegation_app.protocol.errors import TemporarilyUnavailable
from delegation_app.protocol.jose import SKEW_SECONDS, SigningIdentity, VerificationKey
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.secrets import derive_key
from delegation_app.rate_limited_logger import RateLimitedLogger
from delegation_app.services import audit
from delegation_app.services.transactions import advisory_lock, durable, durable_once

logger = logger_for("delegation_app")

_State = SigningKey.KeyState
_LOCK: Final = "delegation:signing-keys"
_LOOK_AGAIN: Final = 1.0
_COMMAND: Final = "manage.py rotate_signing_keys --discard-unreadable"

_unreadable = RateLimitedLogger(logger)


class TooEarly(Exception):
    """The next key was published too recently: verifiers may not have fetched it."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"The next key may sign in {seconds} seconds.")
        self.seconds = seconds


class UnreadableKey(TemporarilyUnavailable):
    """A key that is needed to sign cannot be decrypted: the site's secret has changed.

    Args:
        kid: the id of the key.
    """

    def __init__(self, kid: str) -> None:
        super().__init__(
            "The server cannot sign at present.", detail=f"the key {kid} cannot be decrypted"
        )
        self.kid = kid


class NothingUnreadable(Exception):
    """All keys that are needed to sign can be decrypted."""


@dataclass(frozen=True, slots=True)
class _KeyRing:
    """The keys as read from the database.

    Attributes:
        published: the public keys by id.
        active: the row of the active key, or None.
        read_at: in `time.monotonic`.
        ready: verification keys of `published`, created on demand.
    """

    published: dict[str, jwk.Jwk] = field(default_factory=dict)
    active: SigningKey | None = None
    read_at: float = float("-inf")
    ready: dict[str, VerificationKey] = field(default_factory=dict)


class _Memory:
    """The memory of this process, shared by its threads; each part is replaced as a whole.

    Attributes:
        known: the keys as last read.
        signer: the decrypted key, with the secrets that decrypted it.
        missed_at: the last read caused by an unknown `kid`.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.forget()

    def forget(self) -> None:
        self.known = _KeyRing()
        self.signer: tuple[SigningIdentity, tuple[str, ...]] | None = None
        self.missed_at = float("-inf")


_memory = _Memory()


def forget() -> None:
    """Reset to the state of a new process."""
    _memory.forget()
    _unreadable.forget()


def signer(current: str | None = None) -> SigningIdentity:
    """Return the active key; creates the first keys if there are none.

    Args:
        current: the id of the active key, if it has just been read (`lookup.find`). The keys are
            then read only if this process knows another one, so that rotations, flushes and
            restores are noticed.

    Raises:
        UnreadableKey: it cannot be decrypted. The log names the command to repair it.

    Side effects: on first use two keys and two audit events, in a transaction of their own.
    """
    known = _memory.known
    if current is None or known.active is None or known.active.kid != current:
        known = _read()
    return _identity(_existing(known))


def active_kid() -> str:
    """Return the id of the active key, readable or not; creates the first keys if needed.

    Side effects: on first use those of `signer`.
    """
    return _existing(_read()).kid


def may_sign(kid: str) -> bool:
    """Whether a key is the active one, as far as this process knows. No statement."""
    active = _memory.known.active
    return active is None or active.kid == kid


def published() -> list[jwk.Jwk]:
    """Return the published keys (RFC 7517 section 5), read from the database.

    If the database does not answer, the keys read in the last KEY_CACHE_SECONDS.

    Side effects: on first use those of `signer`.
    """
    try:
        known = _read()
    except (DatabaseError, InterfaceError):
        known = _memory.known
        if not _is_younger(known.read_at, conf.key_cache_seconds):
            raise
    _existing(known)
    return list(_memory.known.published.values())


def key_for(kid: str) -> VerificationKey | None:
    """Return the published key of a `kid`, or None. Creates no keys.

    Side effects: the keys are read after KEY_CACHE_SECONDS, or for an unknown `kid`, which can be
    forged, at most once a second.
    """
    known = _memory.known
    if not _is_younger(known.read_at, conf.key_cache_seconds) or (
        kid not in known.published and _may_look_again()
    ):
        known = _read()
    members = known.published.get(kid)
    if members is None:
        return None
    ready = known.ready.get(kid) or VerificationKey.of(members)
    known.ready[kid] = ready
    return ready


def unreadable() -> list[str]:
    """Return the ids of the active and next keys that cannot be decrypted. Read-only."""
    return [key.kid for key in _waiting() if not _can_read(key)]


def rotate(
    origin: audit.RequestContext, *, force: bool = False, withdraw: bool = False
) -> SigningKey:
    """Activate the next key, retire the active one, and publish a new next key.

    The retired key stays published until its last token has expired; its private half is deleted.

    Args:
        origin: the operator.
        force: do not wait for verifiers to fetch the next key. They may refuse its tokens until
            then.
        withdraw: the active key was stolen. Do not wait, and stop publishing it: its tokens are
            refused here within KEY_CACHE_SECONDS, elsewhere within JWKS_MAX_AGE.

    Raises:
        TooEarly: the next key has been published for less than JWKS_MAX_AGE.
        UnreadableKey: the next key cannot be decrypted.

    Side effects: one audit event.
    """
    active_kid()
    key = _rotate(origin, force=force or withdraw, withdraw=withdraw)
    forget()
    return key


def discard_unreadable(origin: audit.RequestContext) -> SigningKey:
    """Retire the keys that cannot be decrypted, and replace them.

    Their tokens stay valid: the public halves are published until the last token has expired.
    Verifiers may not have fetched the new active key, unless it was the next key.

    Args:
        origin: the operator.

    Returns:
        The new active key.

    Raises:
        NothingUnreadable: there is no such key; nothing was changed.

    Side effects: up to two new keys, one audit event.
    """
    key = _discard_unreadable(origin)
    forget()
    return key


@durable_once
def _discard_unreadable(origin: audit.RequestContext) -> SigningKey:
    advisory_lock(_LOCK)
    now, keys = clock.now(), {key.state: key for key in _waiting()}
    lost = [key for key in keys.values() if not _can_read(key)]
    if not lost:
        raise NothingUnreadable
    for key in lost:
        # The next key has signed nothing
        _retire(key, _last_use(now) if key.state == _State.ACTIVE else now)
    left = {state: key for state, key in keys.items() if key not in lost}
    active = left.get(_State.ACTIVE)
    if active is None:
        upcoming = left.pop(_State.NEXT, None)
        active = _make(_State.ACTIVE, now) if upcoming is None else _activate(upcoming, now)
    if _State.NEXT not in left:
        _make(_State.NEXT, now)
    details = {"active": active.kid, "discarded": [key.kid for key in lost]}
    audit.record(KEY_ROTATED, origin, details=details)
    return active


@durable_once
def _rotate(origin: audit.RequestContext, *, force: bool, withdraw: bool) -> SigningKey:
    advisory_lock(_LOCK)
    now = clock.now()
    upcoming = SigningKey.objects.get(state=_State.NEXT)
    wait = upcoming.created_at + conf.jwks_max_age - now
    if wait > timedelta(0) and not force:
        raise TooEarly(int(wait.total_seconds()) + 1)
    if not _can_read(upcoming):
        raise UnreadableKey(upcoming.kid)
    active = SigningKey.objects.get(state=_State.ACTIVE)
    _retire(active, now if withdraw else _last_use(now))
    _activate(upcoming, now)
    _make(_State.NEXT, now)
    details = {"active": upcoming.kid, "retired": active.kid, "withdrawn": withdraw}
    audit.record(KEY_ROTATED, origin, details=details)
    return upcoming


@durable
def _make_first() -> None:
    advisory_lock(_LOCK)
    # Another process may have created them meanwhile
    if not SigningKey.objects.filter(state=_State.ACTIVE).exists():
        now = clock.now()
        for state in (_State.ACTIVE, _State.NEXT):
            key = _make(state, now)
            audit.record(
                KEY_CREATED, audit.RequestContext(), details={"kid": key.kid, "state": state}
            )


def _make(state: SigningKey.KeyState, now: datetime) -> SigningKey:
    algorithm = conf.signing_algorithm
    private = jwk.generate(algorithm)
    public = jwk.public_jwk(private, algorithm)
    return SigningKey.objects.create(
        kid=public["kid"],
        algorithm=algorithm,
        state=state,
        public_jwk=public,
        encrypted_private_key=_box().encrypt(jwk.to_pem(private)),
        created_at=now,
        activated_at=now if state == _State.ACTIVE else None,
    )


def _retire(key: SigningKey, expires_at: datetime) -> None:
    key.state, key.expires_at, key.encrypted_private_key = _State.RETIRED, expires_at, b""
    key.save(update_fields=["state", "expires_at", "encrypted_private_key"])


def _activate(key: SigningKey, now: datetime) -> SigningKey:
    key.state, key.activated_at = _State.ACTIVE, now
    # Under the current secret, so that after a rotation no key needs an older one
    key.encrypted_private_key = _box().rotate(bytes(key.encrypted_private_key))
    key.save(update_fields=["state", "activated_at", "encrypted_private_key"])
    return key


def _waiting() -> QuerySet[SigningKey]:
    return SigningKey.objects.exclude(state=_State.RETIRED)


def _read() -> _KeyRing:
    began = time.monotonic()
    rows = SigningKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=clock.now()))
    keys = list(rows.order_by("created_at"))
    published: dict[str, jwk.Jwk] = {key.kid: key.public_jwk for key in keys}
    active = next((key for key in keys if key.state == _State.ACTIVE), None)
    before = _memory.known.ready.items()
    ready = {kid: key for kid, key in list(before) if kid in published}
    _memory.known = _KeyRing(published, active, began, ready)
    return _memory.known


def _existing(known: _KeyRing) -> SigningKey:
    if known.active is None:
        _make_first()
        known = _read()
    if known.active is None:
        message = "there is no active signing key"
        raise RuntimeError(message)
    return known.active


def _may_look_again() -> bool:
    now = time.monotonic()
    with _memory.lock:
        if _is_younger(_memory.missed_at, _LOOK_AGAIN):
            return False
        _memory.missed_at = now
    return True


def _is_younger(moment: float, seconds: float) -> bool:
    return time.monotonic() - moment < seconds


def _identity(key: SigningKey) -> SigningIdentity:
    made, secrets = _memory.signer, conf.secrets
    if made is not None and made[0].kid == key.kid and made[1] == secrets:
        return made[0]
    try:
        private = jwk.from_pem(_box().decrypt(bytes(key.encrypted_private_key)))
    except InvalidToken as error:
        _unreadable.error(
            "the signing key %s cannot be decrypted, so no token is issued: add the previous "
            "secret to SECRET_KEY_FALLBACKS or KEY_ENCRYPTION_KEY, or run %s",
            key.kid,
            _COMMAND,
        )
        raise UnreadableKey(key.kid) from error
    identity = SigningIdentity(key.kid, key.algorithm, private)
    _memory.signer = identity, secrets
    return identity


def _last_use(now: datetime) -> datetime:
    # Tokens issued under longer lifetimes count, too. Other processes may sign with the key until
    # they read the keys again.
    policies = ClientPolicy.objects.aggregate(longest=Max("access_token_lifetime"))["longest"] or 0
    lists = timedelta(seconds=conf.status_list_lifetime)
    coming = now + max(conf.access_token_lifetime, timedelta(seconds=policies), lists)
    issued = AccessToken.objects.aggregate(last=Max("expires_at"))["last"] or now
    return max(coming, issued) + timedelta(seconds=conf.key_cache_seconds + SKEW_SECONDS)


def _can_read(key: SigningKey) -> bool:
    try:
        _box().decrypt(bytes(key.encrypted_private_key))
    except InvalidToken:
        return False
    return True


def _box() -> MultiFernet:
    keys = (derive_key(secret, "signing-keys") for secret in conf.secrets)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
