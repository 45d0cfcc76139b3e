"""Judging answers. Nothing here asks for them, and nothing but `ClientError` is raised."""

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

_BUSY: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_LONGEST_WAIT: Final = 3600
_LONGEST_LIFE: Final = 10**10
_DELAY = re.compile(r"[0-9]{1,9}")
_LONGEST_TOKEN: Final = 16 * 1024
# RFC 6750 section 2.1: b64token. Anything else could not be sent, or would end the header.
_ACCESS_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# RFC 6749 appendix A.17
_REFRESH_TOKEN = re.compile(r"[\x20-\x7e]+")


def members(response: Response) -> dict[str, Any]:
    """Return the members of a good answer that is a JSON object.

    Raises:
        Refused: it is an error.
        UnusableAnswer: it is something else, a redirect for example.
    """
    if response.status != HTTPStatus.OK:
        raise refusal(response)
    return _object(response)


def tokens(
    response: Response, *, now: float, asked: Scope | None = None, issued: str | None = None
) -> Tokens:
    """Judge an answer of the token endpoint (RFC 6749 section 5.1).

    Args:
        response: the answer.
        now: when it was asked for, in seconds since the epoch; lifetimes count from then.
        asked: the scope that was asked for, which is what an answer without one means.
        issued: the token type that an exchange was asked for; None for other grants.

    Raises:
        Refused: it is an error.
        UnusableAnswer: it has no bearer token, or a member that makes no sense.
    """
    told = members(response)
    kind = told.get("token_type")
    # RFC 6749 section 7.1: a type that is not understood is not to be used; its name has no case
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise UnusableAnswer("the token is no bearer token")
    # RFC 8693 section 2.2.1
    if issued is not None and told.get("issued_token_type") != issued:
        raise UnusableAnswer("another type of token was issued than was asked for")
    lasts = _lasts(told.get("expires_in"))
    return Tokens(
        access_token=_token(told.get("access_token"), _ACCESS_TOKEN),
        scope=_scope(told.get("scope"), asked),
        expires_in=lasts,
        expires_at=None if lasts is None else now + lasts,
        refresh_token=_refresh_token(told.get("refresh_token")),
        issued_token_type=issued,
    )


def revoked(response: Response) -> None:
    """Judge an answer of the revocation endpoint (RFC 7009 section 2.2).

    Raises:
        Refused: it is an error. With `TemporarilyUnavailableError` the token may still be good.
        UnusableAnswer: it is something else.
    """
    # RFC 7009 section 2.2: what is in the body means nothing
    if response.status != HTTPStatus.OK:
        raise refusal(response)


def introspection(response: Response) -> Mapping[str, Any]:
    """Judge an answer of the introspection endpoint, and return its members (RFC 7662).

    Raises:
        Refused: it is an error.
        UnusableAnswer: it does not say whether the token is active.
    """
    told = members(response)
    # RFC 7662 section 2.2: required, and a boolean: `"false"` would be true
    if not isinstance(told.get("active"), bool):
        raise UnusableAnswer("the answer does not say whether the token is active")
    return told


def refusal(response: Response) -> ClientError:
    """Return the error that an answer means, for raising."""
    wait = _retry_after(response)
    try:
        told = _object(response)
    except UnusableAnswer:
        told = {}
    code = told.get("error")
    if response.status in _BUSY:
        return TemporarilyUnavailableError(
            str(code) if is_code(code) else "temporarily_unavailable",
            status=response.status,
            retry_after=wait,
        )
    if response.status < HTTPStatus.BAD_REQUEST or not is_code(code):
        return UnusableAnswer(f"status {response.status} without an error code")
    described = told.get("error_description")
    return refused(str(code), described, status=response.status, retry_after=wait)


def _object(response: Response) -> dict[str, Any]:
    try:
        told = json.loads(response.body, object_pairs_hook=_once, parse_constant=_no_number)
    # Not UTF-8, no JSON, a number of a million digits, or a thousand brackets in each other
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise UnusableAnswer(f"status {response.status}, and the answer is no JSON object")
    return told


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member stands twice")
    return found


def _no_number(name: str) -> float:
    raise ValueError(name)


def _token(value: object, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TOKEN or not form.fullmatch(value):
        raise UnusableAnswer("the answer has no token, or one that cannot be sent")
    return value


def _refresh_token(value: object) -> str | None:
    return None if value is None else _token(value, _REFRESH_TOKEN)


def _lasts(value: object) -> float | None:
    if value is None:
        return None
    # RFC 6749 section 5.1: a number of seconds. To Python, True is a number too.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UnusableAnswer("expires_in is no number")
    if not 0 < value < _LONGEST_LIFE:
        raise UnusableAnswer("expires_in is no time that a token can last")
    return float(value)


def _scope(value: object, asked: Scope | None) -> Scope | None:
    # RFC 6749 section 5.1: left out if it is the one that was asked for
    if value is None:
        return asked
    try:
        return Scope.parse(value) if isinstance(value, str) else _no_scope()
    except InvalidScope:
        return _no_scope()


def _no_scope() -> Scope:
    raise UnusableAnswer("the scope is malformed")


def _retry_after(response: Response) -> int | None:
    # RFC 9110 section 10.2.3: seconds; the other form, a date, is left alone
    text = response.headers.get("retry-after", "")
    return min(int(text), _LONGEST_WAIT) if _DELAY.fullmatch(text) else None
