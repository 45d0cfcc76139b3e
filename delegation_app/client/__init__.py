"""A client of an authorization server. Needs no Django.

Public are the names in `__all__` and the modules `errors`, `requests` and `responses`, which build
requests and parse responses without sending anything.
"""

from __future__ import annotations

from delegation_app.client.auth import AsService, BearerAuth, OnBehalfOf
from delegation_app.client.authorization_code import Attempt
from delegation_app.client.cache.token_cache import TokenCache
from delegation_app.client.client import Client
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
from delegation_app.client.http.sessions import session
from delegation_app.client.http.transport import HttpTransport, Request, Response, Transport
from delegation_app.client.sources import ClientCredentials, Exchange, TokenSource
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
