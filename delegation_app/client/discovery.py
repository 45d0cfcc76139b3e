"""Where the endpoints of an authorization server are (RFC 8414)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from delegation_app.client import responses, urls
from delegation_app.client.cache.single_flight import Fetched, SingleFlight
from delegation_app.client.errors import UnusableAnswer
from delegation_app.client.http.transport import Request, Response, Transport, naming

TOKEN: Final = "token_endpoint"  # noqa: S105 - the name of a member
AUTHORIZATION: Final = "authorization_endpoint"
REVOCATION: Final = "revocation_endpoint"
INTROSPECTION: Final = "introspection_endpoint"
DEVICE_AUTHORIZATION: Final = "device_authorization_endpoint"
JWKS: Final = "jwks_uri"
FRESH_SECONDS: Final = 600.0
LASTS_SECONDS: Final = 86400.0

_KNOWN: Final[tuple[str, ...]] = (
    TOKEN,
    AUTHORIZATION,
    REVOCATION,
    INTROSPECTION,
    DEVICE_AUTHORIZATION,
    JWKS,
)
_WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an authorization server says about itself, as far as a client acts on it.

    Attributes:
        issuer: its identifier.
        endpoints: URLs by the name of the member, such as `token_endpoint` and `jwks_uri`.
        challenge_methods: the PKCE transforms that it knows.
        names_itself: whether each of its authorization answers has `iss` (RFC 9207 section 3).
    """

    issuer: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    challenge_methods: tuple[str, ...] = ()
    names_itself: bool = False

    def endpoint(self, name: str) -> str:
        """Return the URL of an endpoint.

        Raises:
            UnusableAnswer: the authorization server has none of that name.
        """
        if name not in self.endpoints:
            raise UnusableAnswer(f"{self.issuer} has no {name}")
        return self.endpoints[name]


class Discovery:
    """The metadata of one issuer: asked for once, then anew every ten minutes.

    What is known stays known for a day if the server can't be asked or makes no sense.

    Args:
        issuer: the identifier, https, or http on this machine.
        transport: what sends the request.
        clock: seconds that never go back.

    Raises:
        ValueError: that is no issuer.
    """

    def __init__(
        self, issuer: str, transport: Transport, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._request = request(issuer)
        self._issuer = issuer
        self._transport = transport
        self._cache: SingleFlight[Metadata] = SingleFlight(most_entries=1, clock=clock)

    def metadata(self) -> Metadata:
        """Return what is known.

        Raises:
            ClientError: nothing is, and there is no answer, or none of use.

        Side effects: network, now and then.
        """
        return self._cache.get(self._issuer, self._fetch)

    def _fetch(self) -> Fetched[Metadata]:
        with naming(self._request):
            known = judge(self._transport.send(self._request), self._issuer)
        return Fetched(known, FRESH_SECONDS, LASTS_SECONDS)


def request(issuer: str) -> Request:
    """Return the request for the metadata of an issuer (RFC 8414 section 3.1).

    Raises:
        ValueError: the issuer is no https URL, or has a query or a fragment.
    """
    # RFC 8414 section 2
    if not urls.is_secure(issuer) or "?" in issuer:
        raise ValueError("An issuer is an https URL without query and fragment.")
    parts = urlsplit(issuer)
    # RFC 8414 section 3.1: between the host and the path, which loses its last slash
    path = _WELL_KNOWN + parts.path.removesuffix("/")
    return Request("GET", f"{parts.scheme}://{parts.netloc}{path}")


def judge(response: Response, issuer: str) -> Metadata:
    """Judge a metadata document.

    Args:
        response: the answer.
        issuer: for whom it was asked for.

    Raises:
        Refused: it is an error.
        UnusableAnswer: it is of another issuer, or sends secrets where they must not go.
    """
    told = responses.members(response)
    # RFC 8414 section 3.3: identical, or the document is not to be used
    if told.get("issuer") != issuer:
        raise UnusableAnswer("the metadata is that of another issuer")
    endpoints = {name: _url(told, name, issuer) for name in _KNOWN if name in told}
    if TOKEN not in endpoints:
        raise UnusableAnswer("the metadata has no token endpoint")
    methods = told.get("code_challenge_methods_supported", [])
    if not isinstance(methods, list):
        raise UnusableAnswer("the metadata is malformed: code_challenge_methods_supported")
    return Metadata(
        issuer,
        endpoints,
        tuple(method for method in methods if isinstance(method, str)),
        told.get("authorization_response_iss_parameter_supported") is True,
    )


def _url(told: Mapping[str, Any], name: str, issuer: str) -> str:
    value = told[name]
    usable = isinstance(value, str) and urls.is_secure(value)
    # Who is asked over https must not send anybody on to plain http, not even on this machine
    if not usable or (issuer.startswith("https:") and not value.startswith("https:")):
        raise UnusableAnswer(f"the metadata is not usable: {name}")
    return str(value)
