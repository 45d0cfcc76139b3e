"""Finding the row behind a presented token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import BooleanField, Case, Value, When

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.models import AccessToken, RefreshToken
from delegation_app.models.validity import in_force
from delegation_app.protocol import jose, names, secrets
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.scope import Scope
from delegation_app.services import signing_keys
from delegation_app.services.clients import lookup
from delegation_app.services.clients.registered_client import RegisteredClient, Server

_TOKEN_ID: Final = re.compile(r"[A-Za-z0-9_-]{27}")


@dataclass(frozen=True, slots=True)
class PresentedAccessToken:
    """An access token of this server, with the client that holds it.

    Attributes:
        row: its row, with the delegation and the user.
        client: the holder; None if it was deleted.
        active: whether it is unexpired and unrevoked, and its delegation is in force.
    """

    row: AccessToken
    client: RegisteredClient | None
    active: bool

    @property
    def audience(self) -> Audience:
        """Where it is accepted now, by token, delegation, policy and resource servers together."""
        servers = {} if self.client is None else self.client.servers
        return self.row.audience & self.row.delegation.audience & Audience(servers)

    @property
    def may_act(self) -> str:
        """The client id that `may_act` names; empty without one."""
        return "" if self.client is None else self.client.policy.may_act

    def scope_at(self, server: Server | None) -> Scope:
        """Return the scope it has now, by token, delegation, policy and resource servers together.

        Args:
            server: the resource server; None for its whole audience.
        """
        if self.client is None:
            return Scope()
        # For one resource server, too: the holder's policy may no longer list it
        held = self.audience if server is None else self.audience & Audience([server.identifier])
        if not held:
            return Scope()
        return self.client.known_scope(self.row.scope & self.row.delegation.scopes, held)


@dataclass(frozen=True, slots=True)
class PresentedRefreshToken:
    """A refresh token of this server, used or not."""

    row: RefreshToken
    active: bool


Presented = PresentedAccessToken | PresentedRefreshToken


def ends_at(token: AccessToken | RefreshToken) -> datetime:
    """Return when a token ends (UTC); its delegation may end earlier than at the time of issue."""
    ends = token.delegation.expires_at
    return token.expires_at if ends is None else min(token.expires_at, ends)


def find(text: str, *, allow_expired: bool = False) -> Presented | None:
    """Return the token behind `text`, or None. One statement, reads only.

    Args:
        text: as presented, of any kind and any size.
        allow_expired: whether to find expired access tokens too, for revocation.
    """
    if jose.looks_like_jws(text):
        return _by_jti(text, allow_expired=allow_expired)
    if len(text) == secrets.OPAQUE_LENGTH:
        return _access_token(digest=secrets.digest(text))
    return _refresh_token(secrets.digest(text))


def access_token(text: str) -> PresentedAccessToken | None:
    """Return the access token behind `text`, or None. One statement, reads only."""
    presented = find(text)
    return presented if isinstance(presented, PresentedAccessToken) else None


def by_id(jti: str) -> PresentedAccessToken | None:
    """Return the access token with this id, a JWT or opaque. One statement."""
    return _access_token(jti=jti)


def given_back(text: str, client: RegisteredClient) -> Presented | None:
    """Return the token that a client revokes, expired or not, or None.

    A token of this client is found by its id as well, if its signing key was deleted: another node
    may still have that key and accept the token. The id alone is as hard to guess.

    Args:
        text: as presented, of any kind and any size.
        client: the presenting client.

    Side effects: none; one statement, two where the key was deleted.
    """
    found = find(text, allow_expired=True)
    if found is not None or not jose.looks_like_jws(text):
        return found
    try:
        kid, claims = jose.unsigned(text, typ=names.ACCESS_TOKEN_TYP, issuer=conf.issuer)
    except InvalidToken:
        return None
    # A wrong signature of a known key
    if signing_keys.key_for(kid) is not None:
        return None
    found = _by_id_of(claims)
    is_own = found is not None and found.row.delegation.delegate_id == client.application.pk
    return found if is_own else None


def _by_jti(text: str, *, allow_expired: bool) -> PresentedAccessToken | None:
    try:
        claims = jose.verify(
            text,
            signing_keys.key_for,
            typ=names.ACCESS_TOKEN_TYP,
            issuer=conf.issuer,
            now=clock.now().timestamp(),
            allow_expired=allow_expired,
        )
    except InvalidToken:
        return None
    return _by_id_of(claims)


def _by_id_of(claims: Mapping[str, object]) -> PresentedAccessToken | None:
    jti = claims.get("jti")
    # Only a text in the format of an id is looked up: PostgreSQL refuses a NUL, for one
    if not isinstance(jti, str) or not _TOKEN_ID.fullmatch(jti):
        return None
    return _access_token(jti=jti, digest=None)


def _access_token(**key: str | None) -> PresentedAccessToken | None:
    now = clock.now()
    tokens = AccessToken.objects.filter(**key).select_related(
        "delegation__principal_user", "delegation__delegate__delegation_policy"
    )
    judged = tokens.annotate(in_force=_judge(now))
    rows = list(lookup.with_servers(judged, f"delegation__delegate__{lookup.TARGETS}"))
    if not rows:
        return None
    row = rows[0]
    application = row.delegation.delegate
    client = None if application is None else lookup.from_rows(application, rows)
    return PresentedAccessToken(row, client, row.in_force and row.revoked_at is None)


def _refresh_token(digest: str) -> PresentedRefreshToken | None:
    rows = RefreshToken.objects.filter(digest=digest).select_related("delegation")
    row = rows.annotate(in_force=_judge(clock.now())).first()
    if row is None:
        return None
    return PresentedRefreshToken(row, row.in_force and row.consumed_at is None)


def _judge(now: datetime) -> Case:
    # The condition of `live` as a column, so that one statement finds and judges
    valid = When(in_force(now, "delegation__"), expires_at__gt=now, then=Value(value=True))
    return Case(valid, default=Value(value=False), output_field=BooleanField())
