"""Redirect URIs: which are usable, and which differ only in the port of a loopback address."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from typing import Final
from urllib.parse import unquote_plus, urlsplit

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
# Redirect URIs are compared as strings; what a browser strips or rewrites never matches
_REWRITTEN_BY_BROWSERS: Final = re.compile(r"[\x00-\x20\x7f\\]")
_DOTTED_SCHEME: Final = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+")
_SEPARATORS: Final = re.compile(r"[&;?]")
# Parameters of authorization responses: RFC 6749 sections 4.1.2, 4.1.2.1 and 4.2.2, RFC 9207
# section 2, OpenID Connect Core 3.2.2.5 and Session Management section 3, JARM section 2.1
_OF_RESPONSES: Final = frozenset(
    {
        "access_token", "code", "error", "error_description", "error_uri", "expires_in",
        "id_token", "iss", "response", "session_state", "state", "token_type",
    }
)  # fmt: skip


class Problem(Enum):
    """Why a registered redirect URI cannot be used."""

    MALFORMED = "malformed"
    CHARACTERS = "characters"
    FRAGMENT = "fragment"
    SCHEME = "scheme"
    NO_HOST = "no_host"
    PLAIN_HTTP = "plain_http"
    UNDOTTED_SCHEME = "undotted_scheme"
    RESPONSE_PARAMETER = "response_parameter"


def is_rewritten(uri: str) -> bool:
    """Return whether browsers strip or rewrite a part of `uri`."""
    return bool(_REWRITTEN_BY_BROWSERS.search(uri))


def problem(uri: str, schemes: Collection[str]) -> Problem | None:
    """Return why `uri` cannot be used, or None.

    Args:
        uri: the registered URI.
        schemes: the allowed schemes in lower case.
    """
    try:
        parts = urlsplit(uri)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return Problem.MALFORMED
    if is_rewritten(uri):
        return Problem.CHARACTERS
    # RFC 6749 section 3.1.2: the redirection endpoint URI MUST NOT include a fragment component
    if "#" in uri:
        return Problem.FRAGMENT
    if parts.scheme not in schemes:
        return Problem.SCHEME
    # A client cannot distinguish a registered `code` from the one in the response
    if _has_response_parameter(parts.query):
        return Problem.RESPONSE_PARAMETER
    return _of_scheme(parts.scheme, host)


def without_loopback_port(uri: str) -> str | None:
    """Return a loopback redirect URI without its port; None for any other URI."""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or host not in _LOOPBACK or "@" in parts.netloc:
        return None
    # Only at the end of the authority: the host [::1] contains “:1” too
    return uri.replace(parts.netloc, parts.netloc.removesuffix(f":{port}"), 1)


def is_localhost(uri: str) -> bool:
    """Return whether the host of `uri` is the name localhost, not an address."""
    return urlsplit(uri).hostname == "localhost"


def _of_scheme(scheme: str, host: str | None) -> Problem | None:
    if scheme == "https":
        return None if host else Problem.NO_HOST
    # RFC 9700 section 2.6: plain http for loopback only
    if scheme == "http":
        return None if host in _LOOPBACK else Problem.PLAIN_HTTP
    # RFC 8252 section 7.1: a private-use scheme is a reversed domain name, so it has a dot
    return None if _DOTTED_SCHEME.fullmatch(scheme) else Problem.UNDOTTED_SCHEME


def _has_response_parameter(query: str) -> bool:
    return any(_as_read(pair) in _OF_RESPONSES for pair in _SEPARATORS.split(query))


def _as_read(pair: str) -> str:
    # As the most lenient framework reads a name: `Code[]`, `%63ode` and `error.description` too
    name = unquote_plus(pair.partition("=")[0]).partition("[")[0]
    return name.strip().lower().replace(".", "_").replace(" ", "_")
