"""Authorization requests and responses (RFC 6749 section 4.1). No I/O.

A browser carries both, so a response counts only if it belongs to this request (state) and comes
from this authorization server (iss).
"""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlencode

from delegation_app.client import requests
from delegation_app.client.credentials import Fields
from delegation_app.client.discovery import AUTHORIZATION, Metadata
from delegation_app.client.errors import UnusableAnswer, is_code, refused
from delegation_app.client.tokens import Target
from delegation_app.protocol import pkce
from delegation_app.protocol.audience import is_absolute_uri
from delegation_app.protocol.secrets import new_secret

_MAX_URL: Final = 16 * 1024
_MAX_FIELDS: Final = 50
_OTHER_TYPES: Final = frozenset({"scope", "iss_expected"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """A pending authorization request, to be stored until the user returns.

    Store it where only this browser reaches it, such as its session, and use it once.

    Attributes:
        issuer: the authorization server.
        redirect_uri: where the response goes.
        scope: the requested scope; None for the server's default.
        iss_expected: whether a response without `iss` is refused.
        state, verifier: the secrets of this request.
        url: where to redirect the browser.
    """

    issuer: str
    redirect_uri: str
    scope: str | None
    iss_expected: bool
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    url: str = field(repr=False)

    def dump(self) -> dict[str, Any]:
        """Return it as JSON members, with the secrets."""
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, stored: object) -> Self:
        """Return it from the result of `dump`.

        Raises:
            UnusableAnswer: the value is something else: this browser has no pending request.
        """
        named = {one.name for one in dataclasses.fields(cls)}
        found = stored if isinstance(stored, Mapping) else {}
        texts = (isinstance(found.get(name), str) for name in named - _OTHER_TYPES)
        if set(found) != named or not all(texts):
            raise UnusableAnswer("no authorization request is pending in this browser")
        return cls(**found)


def begin(
    metadata: Metadata,
    client_id: str,
    redirect_uri: str,
    target: Target,
    extra: Mapping[str, str] | None = None,
) -> Attempt:
    """Return a new authorization request with fresh secrets.

    Args:
        metadata: of the authorization server.
        client_id: as registered.
        redirect_uri: exactly as registered; a loopback URI may have another port.
        target: the audience and the scope.
        extra: further parameters, such as `prompt`.

    Raises:
        ValueError: the redirect URI is malformed, or `extra` sets a parameter of this module.
        UnusableAnswer: the server has no authorization endpoint, or does not support S256.
    """
    _check(metadata, redirect_uri)
    state, verifier = new_secret(), new_secret()
    own = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": pkce.challenge_for(verifier),
        "code_challenge_method": pkce.METHOD,
    }
    return Attempt(
        issuer=metadata.issuer,
        redirect_uri=redirect_uri,
        scope=None if target.scope is None else str(target.scope),
        iss_expected=metadata.sends_iss,
        state=state,
        verifier=verifier,
        url=_url(metadata.endpoint(AUTHORIZATION), {**own, **target.fields("resource")}, extra),
    )


def judge(attempt: Attempt, callback: str) -> requests.Code:
    """Check an authorization response, and return its code.

    Args:
        attempt: the pending request.
        callback: the whole URL that the user was redirected to.

    Raises:
        UnusableAnswer: it does not belong to this request.
        Refused: it is an error: `AccessDeniedError` if the user declined.
    """
    response = _response(attempt, callback)
    # RFC 9700 section 2.1: the response belongs to this request
    if not hmac.compare_digest(response.get("state", "").encode(), attempt.state.encode()):
        raise UnusableAnswer("the response has another state")
    # RFC 9207 section 2.4: the issuer is compared before anything else is used
    if response.get("iss") != attempt.issuer and (attempt.iss_expected or "iss" in response):
        raise UnusableAnswer("the response comes from another issuer")
    code, error = response.get("code"), response.get("error")
    if is_code(error) and not code:
        description = response.get("error_description")
        raise refused(str(error), description, status=HTTPStatus.FOUND)
    if not code or error is not None or not code.isprintable():
        raise UnusableAnswer("the response has no code, or both a code and an error")
    return requests.Code(code, attempt.verifier, attempt.redirect_uri)


def _check(metadata: Metadata, redirect_uri: str) -> None:
    # RFC 6749 section 3.1.2
    if not is_absolute_uri(redirect_uri):
        raise ValueError("A redirect URI is an absolute URI without a fragment.")
    # RFC 8414 section 2: without this member a server does not support PKCE
    if pkce.METHOD not in metadata.challenge_methods:
        raise UnusableAnswer(f"{metadata.issuer} does not support PKCE with S256")


def _url(endpoint: str, own: Fields, extra: Mapping[str, str] | None) -> str:
    if own.keys() & (extra or {}).keys():
        raise ValueError(f"`extra` cannot set {', '.join(own)}.")
    query = urlencode({**own, **(extra or {})}, doseq=True)
    # RFC 6749 section 3.1: the query of the endpoint is kept
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


def _response(attempt: Attempt, callback: str) -> dict[str, str]:
    base, _, query = callback.partition("?")
    expected_base, _, expected = attempt.redirect_uri.partition("?")
    # RFC 9700 section 4.1: exact string comparison
    if base != expected_base or "#" in callback or len(callback) > _MAX_URL:
        raise UnusableAnswer("the response went to another redirect URI")
    pairs = _pairs(query)
    response = dict(pairs)
    # RFC 6749 section 3.1: a repeated parameter has a different value for each reader
    if len(response) < len(pairs):
        raise UnusableAnswer("the response repeats a parameter")
    if not set(_pairs(expected)) <= set(pairs):
        raise UnusableAnswer("the response went to another redirect URI")
    return response


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        query.encode("ascii")
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    # Not ASCII, percent-encoded bytes that are not UTF-8, or too many fields
    except ValueError:
        raise UnusableAnswer("the response is not form-encoded") from None
