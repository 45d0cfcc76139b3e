"""Acting as a client of an authorization server. Needs no Django.

What stands in `__all__` is public, and so are the modules `errors`, `requests` and `responses`:
building a request and judging an answer work without sending anything.
"""

from __future__ import annotations

from delegation_app.client.auth import AsService, BearerAuth, OnBehalfOf, TokenSource
from delegation_app.client.authorization_code import Attempt
from delegation_app.client.cache.token_cache import TokenCache
from delegation_app.client.client import Client
from delegation_app.client.client_credentials import ClientCredentials
from delegation_app.client.credentials import Credentials
from delegation_app.client.discovery import Discovery, Metadata
from delegation_app.client.errors import (
    AccessDeniedError,
    ClientError,
    ConsentRequiredError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    InvalidTargetError,
    LoginRequiredError,
    NoAnswer,
    Refused,
    ServerFailed,
    TemporarilyUnavailableError,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
    UnsupportedTokenTypeError,
    UnusableAnswer,
)
from delegation_app.client.exchange import Exchange
from delegation_app.client.http.sessions import session
from delegation_app.client.http.transport import HttpTransport, Request, Response, Transport
from delegation_app.client.tokens import Tokens

__all__ = [
    "AccessDeniedError",
    "AsService",
    "Attempt",
    "BearerAuth",
    "Client",
    "ClientCredentials",
    "ClientError",
    "ConsentRequiredError",
    "Credentials",
    "Discovery",
    "Exchange",
    "HttpTransport",
    "InvalidClientError",
    "InvalidGrantError",
    "InvalidRequestError",
    "InvalidScopeError",
    "InvalidTargetError",
    "LoginRequiredError",
    "Metadata",
    "NoAnswer",
    "OnBehalfOf",
    "Refused",
    "Request",
    "Response",
    "ServerFailed",
    "TemporarilyUnavailableError",
    "TokenCache",
    "TokenSource",
    "Tokens",
    "Transport",
    "UnauthorizedClientError",
    "UnsupportedGrantTypeError",
    "UnsupportedTokenTypeError",
    "UnusableAnswer",
    "session",
]
