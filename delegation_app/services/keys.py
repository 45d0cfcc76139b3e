"""Signing keys: made on first use, published before they sign, retired after the last token."""

from __future__ import annotations

import base64
import time
from datetime import datetime, timedelta
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.db import DatabaseError, InterfaceError
from django.db.models import Max, Q

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import KEY_CREATED, KEY_ROTATED
from delegation_app.models import AccessToken, ClientPolicy, SigningKey
from delegation_app.protocol import jwk
from delegation_app.protocol.jose import SKEW_SECONDS, SigningIdentity, VerificationKey
from delegation_app.protocol.secrets import derive_key
from delegation_app.services import audit
from delegation_app.services.transactions import hold, own, own_once

_State = SigningKey.State
_LOCK: Final = "delegation:signing-keys"


class TooEarly(Exception):
    """The next key is not published for long enough; verifiers may not know it yet."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"The next key may sign in {seconds} seconds.")
        self.seconds = seconds


class _Known:
    """What this process read of the keys, for at most KEY_CACHE_SECONDS."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.signer: SigningIdentity | None = None
        self.published: dict[str, jwk.Jwk] = {}
        self.ready: dict[str, VerificationKey] = {}
        self.read_at = float("-inf")

    def is_fresh(self) -> bool:
        return time.monotonic() - self.read_at < conf.key_cache_seconds


_known = _Known()


def forget() -> None:
    """Read the keys from the database again when they are next needed."""
    _known.forget()


def signer() -> SigningIdentity:
    """Return the key that signs; makes the first keys if there are none.

    Side effects: on first use two keys and two audit events, in a transaction of their own.
    """
    if _known.signer is None or not _known.is_fresh():
        _read()
    if _known.signer is None:
        _make_first()
        _read()
    if _known.signer is None:
        message = "there is no active signing key"
        raise RuntimeError(message)
    return _known.signer


def fresh_signer() -> SigningIdentity:
    """Return the key that signs now, read again; see `signer`.

    What is read by everybody must not be signed by a key that was withdrawn a moment ago.
    """
    _read()
    return signer()


def published() -> list[jwk.Jwk]:
    """Return the public keys that verifiers shall know (RFC 7517 section 5), read again.

    Verifiers ask to learn of keys that were withdrawn. If the database does not answer, they are
    told what was read in the last KEY_CACHE_SECONDS.
    """
    try:
        _read()
    except (DatabaseError, InterfaceError):
        if not _known.is_fresh():
            raise
    signer()
    return list(_known.published.values())


def key_for(kid: str) -> VerificationKey | None:
    """Return the published key of a `kid`, or None. Makes no key: who verifies only reads."""
    if not _known.is_fresh():
        _read()
    published = _known.published.get(kid)
    if published is None:
        return None
    # Looked up once: another thread may put another dict in its place
    ready = _known.ready.get(kid) or VerificationKey.of(published)
    _known.ready[kid] = ready
    return ready


def unreadable() -> list[str]:
    """Return the ids of the keys that still have to sign and can't be decrypted. Reads only."""
    waiting = SigningKey.objects.exclude(state=_State.RETIRED)
    return [key.kid for key in waiting if not _can_read(key)]


def rotate(origin: audit.Origin, *, force: bool = False, withdraw: bool = False) -> SigningKey:
    """Let the next key sign, retire the active one, and publish a new next key.

    The retired key stays published until the last token that it signed has expired; its private
    half is erased now.

    Args:
        origin: who rotates.
        force: do not wait until verifiers know the next key. Tokens that it signs may be
            refused until they do.
        withdraw: the active key was stolen. Do not wait, and stop publishing it now: what it
            signed is refused here within KEY_CACHE_SECONDS, elsewhere within JWKS_MAX_AGE.

    Raises:
        TooEarly: the next key is not published for JWKS_MAX_AGE yet.

    Side effects: one audit event.
    """
    signer()
    key = _rotate(origin, force=force or withdraw, withdraw=withdraw)
    forget()
    return key


@own_once
def _rotate(origin: audit.Origin, *, force: bool, withdraw: bool) -> SigningKey:
    hold(_LOCK)
    now = clock.now()
    upcoming = SigningKey.objects.get(state=_State.NEXT)
    wait = upcoming.created_at + conf.jwks_max_age - now
    if wait > timedelta(0) and not force:
        raise TooEarly(int(wait.total_seconds()) + 1)
    active = SigningKey.objects.get(state=_State.ACTIVE)
    active.state = _State.RETIRED
    active.expires_at = now if withdraw else _last_use(now)
    active.encrypted_private_key = b""
    active.save(update_fields=["state", "expires_at", "encrypted_private_key"])
    upcoming.state, upcoming.activated_at = _State.ACTIVE, now
    # Under the current secret, so that after a rotation no key needs an older one
    upcoming.encrypted_private_key = _box().rotate(bytes(upcoming.encrypted_private_key))
    upcoming.save(update_fields=["state", "activated_at", "encrypted_private_key"])
    _make(_State.NEXT, now)
    details = {"active": upcoming.kid, "retired": active.kid, "withdrawn": withdraw}
    audit.record(KEY_ROTATED, origin, details=details)
    return upcoming


@own
def _make_first() -> None:
    hold(_LOCK)
    # Another process may have made them while this one waited.
    if not SigningKey.objects.filter(state=_State.ACTIVE).exists():
        now = clock.now()
        for state in (_State.ACTIVE, _State.NEXT):
            key = _make(state, now)
            audit.record(KEY_CREATED, audit.Origin(), details={"kid": key.kid, "state": state})


def _make(state: SigningKey.State, now: datetime) -> SigningKey:
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


def _read() -> None:
    now = clock.now()
    rows = SigningKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=now)).order_by(
        "created_at"
    )
    published: dict[str, jwk.Jwk] = {}
    active: SigningIdentity | None = None
    for row in rows:
        published[row.kid] = row.public_jwk
        if row.state == _State.ACTIVE:
            private = jwk.from_pem(_box().decrypt(bytes(row.encrypted_private_key)))
            active = SigningIdentity(row.kid, row.algorithm, private)
    _known.published, _known.signer, _known.read_at = published, active, time.monotonic()
    _known.ready = {kid: key for kid, key in _known.ready.items() if kid in published}


def _last_use(now: datetime) -> datetime:
    # What was issued with a longer life than the settings give today counts, too. Other processes
    # may sign with the key until they read the keys again.
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
