"""Authorization server metadata (RFC 8414)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from delegation_app.client import responses, urls
from delegation_app.client.cache.single_flight import Fetched, SingleFlight
from delegation_app.client.errors import UnusableAnswer
from delegation_app.client.http.transport import Request, Response, Transport, with_address

TOKEN: Final = "token_endpoint"  # noqa: S105 - the name of a member
AUTHORIZATION: Final = "authorization_endpoint"
REVOCATION: Final = "revocation_endpoint"
INTROSPECTION: Final = "introspection_endpoint"
DEVICE_AUTHORIZATION: Final = "device_authorization_endpoint"
JWKS: Final = "jwks_uri"
REFRESH_SECONDS: Final = 600.0
MAX_AGE_SECONDS: Final = 86400.0

_KNOWN: Final = (TOKEN, AUTHORIZATION, REVOCATION, INTROSPECTION, DEVICE_AUTHORIZATION, JWKS)
_WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of an authorization server, as far as a client uses it.

    Attributes:
        issuer: its identifier.
        endpoints: URLs by metadata member, such as `token_endpoint` and `jwks_uri`.
        challenge_methods: the supported PKCE transforms.
        sends_iss: whether every authorization response has `iss` (RFC 9207 section 3).
    """

    issuer: str
    endpoints: Mapping[str, str] = field(default_factory=dict)
    challenge_methods: tuple[str, ...] = ()
    sends_iss: bool = False

    def endpoint(self, name: str) -> str:
        """Return the URL of an endpoint.

        Raises:
            UnusableAnswer: the metadata has no such endpoint.
        """
        if name not in self.endpoints:
            raise UnusableAnswer(f"{self.issuer} has no {name}")
        return self.endpoints[name]


class Discovery:
    """The metadata of one issuer, fetched at first use and refreshed every ten minutes.

    While refreshing fails, the previous metadata is used for up to a day.

    Args:
        issuer: the identifier: https, or http on loopback.
        transport: sends the request.
        clock: returns monotonic seconds.

    Raises:
        ValueError: the issuer is malformed.
    """

    def __init__(
        self, issuer: str, transport: Transport, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._request = request(issuer)
        self._issuer = issuer
        self._transport = transport
        self._cache: SingleFlight[Metadata] = SingleFlight(max_entries=1, clock=clock)

    def metadata(self) -> Metadata:
        """Return the metadata.

        Raises:
            ClientError: nothing is cached and the request failed.

        Side effects: network, unless it is cached.
        """
        return self._cache.get(self._issuer, self._fetch)

    def _fetch(self) -> Fetched[Metadata]:
        with with_address(self._request):
            metadata = judge(self._transport.send(self._request), self._issuer)
        return Fetched(metadata, REFRESH_SECONDS, MAX_AGE_SECONDS)


def request(issuer: str) -> Request:
    """Return the request for the metadata of an issuer (RFC 8414 section 3.1).

    Raises:
        ValueError: the issuer is not an https URL, or has a query or a fragment.
    """
    # RFC 8414 section 2
    if not urls.is_secure(issuer) or "?" in issuer:
        raise ValueError("An issuer is an https URL without query and fragment.")
    parts = urlsplit(issuer)
    # RFC 8414 section 3.1: between the host and the path without its final slash
    path = _WELL_KNOWN + parts.path.removesuffix("/")
    return Request("GET", f"{parts.scheme}://{parts.netloc}{path}")


def judge(response: Response, issuer: str) -> Metadata:
    """Parse a metadata document.

    Args:
        response: the response.
        issuer: the requested issuer.

    Raises:
        Refused: it is an error.
        UnusableAnswer: it is of another issuer, or has an insecure endpoint.
    """
    document = responses.members(response)
    # RFC 8414 section 3.3: identical, or the document must not be used
    if document.get("issuer") != issuer:
        raise UnusableAnswer("the metadata belongs to another issuer")
    endpoints: dict[str, str] = {
        name: _url(document[name], name, issuer) for name in _KNOWN if name in document
    }
    if TOKEN not in endpoints:
        raise UnusableAnswer("the metadata has no token endpoint")
    methods = document.get("code_challenge_methods_supported", [])
    if not isinstance(methods, list):
        raise UnusableAnswer("the metadata is malformed: code_challenge_methods_supported")
    return Metadata(
        issuer,
        endpoints,
        tuple(method for method in methods if isinstance(method, str)),
        document.get("authorization_response_iss_parameter_supported") is True,
    )


def _url(value: object, name: str, issuer: str) -> str:
    # An https issuer must not point to plain http, not even on loopback
    if (
        not isinstance(value, str)
        or not urls.is_secure(value)
        or (issuer.startswith("https:") and not value.startswith("https:"))
    ):
        raise UnusableAnswer(f"the metadata is not usable: {name}")
    return value
