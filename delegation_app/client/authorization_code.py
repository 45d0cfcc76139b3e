"""Asking a person for their consent, and judging what they come back with. No I/O.

The browser carries the question and the answer, so nothing in the answer is believed until it is
known to be the answer to this question (state), and to come from whom was asked (iss).
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
from delegation_app.client.target import Target
from delegation_app.protocol import pkce
from delegation_app.protocol.audience import is_absolute_uri
from delegation_app.protocol.secrets import new_secret

_LONGEST: Final = 16 * 1024
_MOST_FIELDS: Final = 50
_OTHER_TYPES: Final = frozenset({"scope", "iss_expected"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to get a consent: what must be remembered until the person is back.

    Keep it where only that browser leads to, such as its session, and use it once.

    Attributes:
        issuer: who was asked.
        redirect_uri: where the answer goes.
        scope: what was asked for; None for what the server thinks fit.
        iss_expected: whether an answer without `iss` is refused.
        state, verifier: the secrets of this try.
        url: where to send the browser.
    """

    issuer: str
    redirect_uri: str
    scope: str | None
    iss_expected: bool
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    url: str = field(repr=False)

    def dump(self) -> dict[str, Any]:
        """Return it as JSON members, secrets and all."""
        return dataclasses.asdict(self)

    @classmethod
    def load(cls, stored: object) -> Self:
        """Return it from what `dump` returned.

        Raises:
            UnusableAnswer: that is something else; somebody comes back who was never sent.
        """
        named = {one.name for one in dataclasses.fields(cls)}
        found = stored if isinstance(stored, Mapping) else {}
        texts = (isinstance(found.get(name), str) for name in named - _OTHER_TYPES)
        if set(found) != named or not all(texts):
            raise UnusableAnswer("there is no attempt that this could be the answer to")
        return cls(**found)


def begin(
    metadata: Metadata,
    client_id: str,
    redirect_uri: str,
    wanted: Target,
    more: Mapping[str, str] | None = None,
) -> Attempt:
    """Start a try, with fresh secrets.

    Args:
        metadata: of the authorization server.
        client_id: as registered.
        redirect_uri: exactly as registered; one on this machine may have another port.
        wanted: the audience and the scope.
        more: further parameters, such as `prompt`.

    Raises:
        ValueError: the redirect URI is none, or `more` has a parameter of ours.
        UnusableAnswer: the server can't take such requests, or does not know S256.
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
        scope=None if wanted.scope is None else str(wanted.scope),
        iss_expected=metadata.names_itself,
        state=state,
        verifier=verifier,
        url=_url(metadata.endpoint(AUTHORIZATION), {**own, **wanted.fields("resource")}, more),
    )


def judge(attempt: Attempt, callback: str) -> requests.Code:
    """Judge what a person comes back with, and return what can be redeemed.

    Args:
        attempt: what they were sent with.
        callback: the whole URL that they were redirected to.

    Raises:
        UnusableAnswer: it is no answer to this attempt.
        Refused: it is, and it says no: `AccessDenied` if the person did.
    """
    brought = _brought(attempt, callback)
    # RFC 9700 section 2.1: it is the answer to this very question
    if not hmac.compare_digest(brought.get("state", "").encode(), attempt.state.encode()):
        raise UnusableAnswer("the answer has another state")
    # RFC 9207 section 2.4: it comes from whom was asked, which is settled before anything else
    if brought.get("iss") != attempt.issuer and (attempt.iss_expected or "iss" in brought):
        raise UnusableAnswer("the answer comes from another issuer")
    code, error = brought.get("code"), brought.get("error")
    if is_code(error) and not code:
        described = brought.get("error_description")
        raise refused(str(error), described, status=HTTPStatus.FOUND)
    if not code or error is not None or not code.isprintable():
        raise UnusableAnswer("the answer has no code, or an error beside it")
    return requests.Code(code, attempt.verifier, attempt.redirect_uri)


def _check(metadata: Metadata, redirect_uri: str) -> None:
    # RFC 6749 section 3.1.2
    if not is_absolute_uri(redirect_uri):
        raise ValueError("A redirect URI is an absolute URI without a fragment.")
    # RFC 8414 section 2: a server that does not say so does not support PKCE
    if pkce.METHOD not in metadata.challenge_methods:
        raise UnusableAnswer(f"{metadata.issuer} does not support PKCE with S256")


def _url(endpoint: str, own: Fields, more: Mapping[str, str] | None) -> str:
    if own.keys() & (more or {}).keys():
        raise ValueError(f"These are not for you to set: {', '.join(own)}.")
    query = urlencode({**own, **(more or {})}, doseq=True)
    # RFC 6749 section 3.1: a query that the endpoint has is kept
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


def _brought(attempt: Attempt, callback: str) -> dict[str, str]:
    base, _, query = callback.partition("?")
    expected_base, _, expected = attempt.redirect_uri.partition("?")
    # RFC 9700 section 4.1: compared as it is, so that no two ways to write it can differ
    if base != expected_base or "#" in callback or len(callback) > _LONGEST:
        raise UnusableAnswer("the answer went to another redirect URI")
    pairs = _pairs(query)
    brought = dict(pairs)
    # RFC 6749 section 3.1: no parameter stands twice, or two readers read two values
    if len(brought) < len(pairs):
        raise UnusableAnswer("a parameter of the answer stands twice")
    if not set(_pairs(expected)) <= set(pairs):
        raise UnusableAnswer("the answer went to another redirect URI")
    return brought


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        query.encode("ascii")
        return parse_qsl(
            query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    # Not ASCII, not UTF-8 behind the percent signs, or too many
    except ValueError:
        raise UnusableAnswer("the answer is not form-encoded") from None
