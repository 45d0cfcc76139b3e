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
    AccessDenied,
    ClientError,
    ConsentRequired,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    LoginRequired,
    NoAnswer,
    Refused,
    ServerFailed,
    TemporarilyUnavailable,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedTokenType,
    UnusableAnswer,
)
from delegation_app.client.exchange import Exchange
from delegation_app.client.http.sessions import session
from delegation_app.client.http.transport import HttpTransport, Request, Response, Transport
from delegation_app.client.tokens import Tokens

__all__ = [
    "AccessDenied",
    "AsService",
    "Attempt",
    "BearerAuth",
    "Client",
    "ClientCredentials",
    "ClientError",
    "ConsentRequired",
    "Credentials",
    "Discovery",
    "Exchange",
    "HttpTransport",
    "InvalidClient",
    "InvalidGrant",
    "InvalidRequest",
    "InvalidScope",
    "InvalidTarget",
    "LoginRequired",
    "Metadata",
    "NoAnswer",
    "OnBehalfOf",
    "Refused",
    "Request",
    "Response",
    "ServerFailed",
    "TemporarilyUnavailable",
    "TokenCache",
    "TokenSource",
    "Tokens",
    "Transport",
    "UnauthorizedClient",
    "UnsupportedGrantType",
    "UnsupportedTokenType",
    "UnusableAnswer",
    "session",
]
