"""Bearer tokens in requests, and challenges in responses (RFC 6750)."""

from __future__ import annotations

import re
from typing import Final

from delegation_app.protocol.errors import InvalidRequest, InvalidToken

_SCHEME: Final = "bearer"
# RFC 6750 section 2.1: b64token
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# RFC 9110 section 5.6.4: characters that a quoted string cannot carry unescaped
_UNQUOTABLE: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


def token_in(authorization: str) -> str | None:
    """Return the bearer token in the value of an Authorization header, or None.

    Raises:
        InvalidRequest: the scheme is followed by no token, or by more than one word.
        InvalidToken: the token is malformed.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    # RFC 9110 section 11.1: scheme names are case-insensitive
    if scheme.lower() != _SCHEME:
        return None
    words = rest.split(maxsplit=1)
    # WSGI joins two headers with a comma, so this refuses a second header too
    if len(words) != 1:
        raise InvalidRequest("The Authorization header must be: Bearer, a space, a token.")
    # RFC 6750 section 3.1: a malformed token is an invalid one, not a malformed request
    if not _TOKEN.fullmatch(words[0]):
        raise InvalidToken("The access token is not valid.", detail="characters")
    return words[0]


def challenge(realm: str, **attributes: str) -> str:
    """Return the value of WWW-Authenticate (RFC 6750 section 3).

    Args:
        realm: the name of the resource server.
        attributes: such as `error` and `scope`; empty ones are left out.
    """
    pairs = {"realm": realm, **attributes}
    quoted = (f'{name}="{_UNQUOTABLE.sub("?", text)}"' for name, text in pairs.items() if text)
    return f"Bearer {', '.join(quoted)}".rstrip()
