"""The challenge of a refusal, which tells a client how to obtain access. Needs no Django."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable
from urllib.parse import urlsplit, urlunsplit

from delegation_app.protocol.requests import bearer
from delegation_app.protocol.scope import Scope

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
# A request for a refresh token, which concerns the authorization server only
_NOT_OFFERED: Final = Scope(["offline_access"])


@dataclass(frozen=True, slots=True)
class Challenge:
    """A resource server, as its refusals describe it.

    Attributes:
        realm: its name.
        resource_metadata: the URL of its metadata (RFC 9728); empty if none is published.
    """

    realm: str
    resource_metadata: str = ""

    def header(self, *, scope: Scope = Scope(), error: str = "", description: str = "") -> str:
        """Return the value of WWW-Authenticate.

        Args:
            scope: the required scope.
            error: an error code (RFC 6750 section 3.1); empty for a request without a token.
            description: its `error_description`.
        """
        return bearer.challenge(
            self.realm,
            error=error,
            error_description=description,
            scope=str(offered(scope)),
            # RFC 9728 section 5.1
            resource_metadata=self.resource_metadata,
        )


@runtime_checkable
class Challenger(Protocol):
    """Anything that has a challenge, such as `BearerAuthentication`."""

    def challenge(self) -> Challenge:
        """Return the challenge of every refusal."""
        ...


def offered(scope: Scope) -> Scope:
    """Return the part of `scope` that a resource server advertises."""
    return scope - _NOT_OFFERED


def metadata_url(identifier: str) -> str:
    """Return the URL of a resource server's metadata; empty unless its identifier is a URL.

    Args:
        identifier: the audience of its tokens.
    """
    parts = urlsplit(identifier)
    if parts.scheme not in {"https", "http"} or not parts.netloc:
        return ""
    path = WELL_KNOWN + metadata_suffix(identifier)
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def metadata_suffix(identifier: str) -> str:
    """Return the part after the well-known path in the URL of a resource's metadata.

    RFC 9728 section 3.1: the well-known part goes between host and path; a lone slash is dropped.
    """
    path = urlsplit(identifier).path
    return "" if path == "/" else path
