"""What a client gets from the token endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field

from delegation_app.protocol.scope import Scope


@dataclass(frozen=True, slots=True)
class Tokens:
    """One answer of the token endpoint. A representation shows no token.

    Attributes:
        access_token: to be sent as a bearer token.
        scope: what it is good for; None if nobody said.
        expires_in: seconds it lasts from when it was asked for; None if nobody said.
        expires_at: the same as a time, in seconds since the epoch.
        refresh_token: the one to be used next, if there is one; those before it are used up.
        issued_token_type: what an exchange issued (RFC 8693 section 3).
    """

    access_token: str = field(repr=False)
    scope: Scope | None = None
    expires_in: float | None = None
    expires_at: float | None = None
    refresh_token: str | None = field(default=None, repr=False)
    issued_token_type: str | None = None
