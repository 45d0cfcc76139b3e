"""The credentials of a client in a request (RFC 6749 section 2.3)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_plus

from delegation_app.protocol import names
from delegation_app.protocol.errors import InvalidClient, InvalidRequest
from delegation_app.protocol.requests.parameters import Parameters

# Room for the longest client id and secret, percent-encoded, in base64; longer ones are not decoded
_MAX_HEADER: Final = 8192


@dataclass(frozen=True, slots=True)
class PresentedCredentials:
    """Unverified client credentials. The representation hides the secret."""

    client_id: str
    secret: str | None = field(repr=False)
    method: str


def read_credentials(authorization: str | None, parameters: Parameters) -> PresentedCredentials:
    """Read the credentials of one request.

    Args:
        authorization: the value of the Authorization header, or None.
        parameters: of the body, never of the query string (RFC 6749 section 2.3.1).

    Raises:
        InvalidRequest: two authentication methods, or two different client ids.
        InvalidClient: no client id, or a malformed header.
    """
    if "client_assertion" in parameters or "client_assertion_type" in parameters:
        raise InvalidClient("Client assertions are not supported.")
    if authorization is None:
        return _from_body(parameters)
    credentials = _from_header(authorization)
    # RFC 6749 section 2.3: not more than one authentication method in a request
    if "client_secret" in parameters:
        raise InvalidRequest("Use one client authentication method, not two.")
    if parameters.get("client_id") not in {None, credentials.client_id}:
        raise InvalidRequest("The client_id differs from the authenticated client.")
    return credentials


def _from_body(parameters: Parameters) -> PresentedCredentials:
    client_id = parameters.get("client_id")
    if client_id is None:
        raise InvalidClient("The request names no client.")
    secret = parameters.get("client_secret")
    return PresentedCredentials(client_id, secret, names.NONE if secret is None else names.POST)


def _from_header(authorization: str) -> PresentedCredentials:
    # RFC 9110 section 11.1: scheme names are case-insensitive
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient("Clients authenticate with Basic or in the body.")
    if len(encoded) > _MAX_HEADER:
        raise InvalidClient("The Authorization header is too long.")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        client_id, colon, secret = decoded.partition(":")
        # RFC 6749 section 2.3.1: both halves are form-encoded before they are joined
        client_id = unquote_plus(client_id, errors="strict")
        secret = unquote_plus(secret, errors="strict")
    # Malformed base64, malformed UTF-8 and a non-ASCII header all raise kinds of ValueError
    except ValueError as error:
        raise InvalidClient("The Authorization header cannot be read.") from error
    if not colon or not client_id or "\x00" in decoded + client_id + secret:
        raise InvalidClient("The Authorization header cannot be read.")
    # RFC 6749 section 2.3.1: an empty secret may be left out, which authenticates nothing
    return PresentedCredentials(client_id, secret or None, names.BASIC if secret else names.NONE)
