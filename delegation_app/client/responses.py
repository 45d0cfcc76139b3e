"""Parsers for the responses to a client. Nothing here uses the network.

Only `ClientError` is raised, whatever a response contains.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from delegation_app.client.errors import (
    ClientError,
    TemporarilyUnavailableError,
    UnusableAnswer,
    is_code,
    refused,
)
from delegation_app.client.http.transport import Response
from delegation_app.client.tokens import Tokens
from delegation_app.protocol.errors import InvalidScope
from delegation_app.protocol.scope import Scope

# Too many requests, bad gateway, unavailable, gateway timeout
_BUSY: Final = frozenset({429, 502, 503, 504})
_MAX_WAIT: Final = 3600
_MAX_LIFETIME: Final = 10**10
_DELAY = re.compile(r"[0-9]{1,9}")
_MAX_TOKEN: Final = 16 * 1024
# RFC 6750 section 2.1: b64token. Anything else could end the header.
_ACCESS_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# RFC 6749 appendix A.17
_REFRESH_TOKEN = re.compile(r"[\x20-\x7e]+")


def members(response: Response) -> dict[str, Any]:
    """Return the members of a successful response with a JSON object.

    Raises:
        Refused: it is an error.
        UnusableAnswer: it is something else, for example a redirect.
    """
    revoked(response)
    return _object(response)


def tokens(
    response: Response, *, now: float, requested: Scope | None = None, issued: str | None = None
) -> Tokens:
    """Parse a response of the token endpoint (RFC 6749 section 5.1).

    Args:
        response: the response.
        now: the time of the request in seconds since the epoch; the lifetime counts from then.
        requested: the requested scope, which a response without `scope` confirms.
        issued: the requested token type of an exchange; None for other grants.

    Raises:
        Refused: it is an error.
        UnusableAnswer: it has no bearer token, or a malformed member.
    """
    found = members(response)
    token_type = found.get("token_type")
    # RFC 6749 section 7.1: a client must not use an unknown type; types are case-insensitive
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise UnusableAnswer("the token is not a bearer token")
    # RFC 8693 section 2.2.1
    if issued is not None and found.get("issued_token_type") != issued:
        raise UnusableAnswer("the issued token type is not the requested one")
    lifetime = _lifetime(found.get("expires_in"))
    refresh_token = found.get("refresh_token")
    return Tokens(
        access_token=_token(found.get("access_token"), _ACCESS_TOKEN),
        scope=_scope(found.get("scope"), requested),
        expires_in=lifetime,
        expires_at=None if lifetime is None else now + lifetime,
        refresh_token=None if refresh_token is None else _token(refresh_token, _REFRESH_TOKEN),
        issued_token_type=issued,
    )


def revoked(response: Response) -> None:
    """Check a response of the revocation endpoint (RFC 7009 section 2.2).

    Raises:
        Refused: it is an error. With `TemporarilyUnavailableError` the token may still be valid.
        UnusableAnswer: it is something else.
    """
    # RFC 7009 section 2.2: the body is ignored
    if response.status != HTTPStatus.OK:
        raise refusal(response)


def introspection(response: Response) -> Mapping[str, Any]:
    """Return the members of an introspection response (RFC 7662).

    Raises:
        Refused: it is an error.
        UnusableAnswer: it has no boolean `active`.
    """
    found = members(response)
    # RFC 7662 section 2.2: required, and a boolean: `"false"` would be true
    if not isinstance(found.get("active"), bool):
        raise UnusableAnswer("the response has no boolean `active`")
    return found


def refusal(response: Response) -> ClientError:
    """Return the error that a response stands for, for raising."""
    wait = _retry_after(response)
    try:
        found = _object(response)
    except UnusableAnswer:
        found = {}
    code = found.get("error")
    if response.status in _BUSY:
        return TemporarilyUnavailableError(
            str(code) if is_code(code) else "temporarily_unavailable",
            status=response.status,
            retry_after=wait,
        )
    if response.status < HTTPStatus.BAD_REQUEST or not is_code(code):
        return UnusableAnswer(f"status {response.status} without an error code")
    description = found.get("error_description")
    return refused(str(code), description, status=response.status, retry_after=wait)


def _object(response: Response) -> dict[str, Any]:
    try:
        found = json.loads(response.body, object_pairs_hook=_unique, parse_constant=_no_constant)
    # Not UTF-8, not JSON, a number of a million digits, or a thousand nested brackets
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnusableAnswer(f"status {response.status}, and the response is not a JSON object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member is repeated")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _token(value: object, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TOKEN or not form.fullmatch(value):
        raise UnusableAnswer("the response has no usable token")
    return value


def _lifetime(value: object) -> float | None:
    if value is None:
        return None
    # RFC 6749 section 5.1: a number of seconds. In Python, True is a number too.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnusableAnswer("expires_in is not a number")
    if not 0 < value < _MAX_LIFETIME:
        raise UnusableAnswer("expires_in is out of range")
    return float(value)


def _scope(value: object, requested: Scope | None) -> Scope | None:
    # RFC 6749 section 5.1: left out if it is the requested one
    if value is None:
        return requested
    try:
        if isinstance(value, str):
            return Scope.parse(value)
    except InvalidScope:
        pass
    raise UnusableAnswer("the scope is malformed")


def _retry_after(response: Response) -> int | None:
    # RFC 9110 section 10.2.3: seconds; the other form, a date, is ignored
    text = response.headers.get("retry-after", "")
    return min(int(text), _MAX_WAIT) if _DELAY.fullmatch(text) else None
