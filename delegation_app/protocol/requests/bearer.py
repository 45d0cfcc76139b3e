"""Bearer tokens in requests, and the challenge of an answer that refuses one (RFC 6750)."""

from __future__ import annotations

import re
from typing import Final

from delegation_app.protocol.errors import InvalidRequest, InvalidToken

_SCHEME: Final = "bearer"
# RFC 6750 section 2.1: b64token
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# RFC 9110 section 5.6.4: what a quoted string may carry as it is
_UNQUOTABLE: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")


def token_in(authorization: str) -> str | None:
    """Return the token in the value of an Authorization header; None if it has no bearer token.

    Raises:
        InvalidRequest: it names the scheme and then no token, or more than that.
        InvalidToken: what it has for a token can be none.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    # RFC 9110 section 11.1: the name of a scheme has no case
    if scheme.lower() != _SCHEME:
        return None
    words = rest.split(maxsplit=1)
    # Two headers arrive here as one with a comma, so this is also where a second one is refused
    if len(words) != 1:
        raise InvalidRequest("The Authorization header must be: Bearer, a space, a token.")
    # RFC 6750 section 3.1: a malformed token is an invalid one, not a malformed request
    if not _TOKEN.fullmatch(words[0]):
        raise InvalidToken("The access token is not valid.", detail="characters")
    return words[0]


def challenge(realm: str, **attributes: str) -> str:
    """Return the value of WWW-Authenticate (RFC 6750 section 3).

    Args:
        realm: who refuses.
        attributes: such as `error` and `scope`; empty ones are left out.
    """
    pairs = {"realm": realm, **attributes}
    told = (f'{name}="{_quotable(value)}"' for name, value in pairs.items() if value)
    return f"Bearer {', '.join(told)}".rstrip()


def _quotable(text: str) -> str:
    return _UNQUOTABLE.sub("?", text)
