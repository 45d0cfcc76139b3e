"""Who refuses, and where a client learns how to get in. Needs no Django."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable
from urllib.parse import urlsplit, urlunsplit

from delegation_app.protocol.requests import bearer
from delegation_app.protocol.scope import Scope

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
# It asks for a refresh token, which is a matter between client and authorization server
_NOT_OURS: Final = Scope(["offline_access"])


@dataclass(frozen=True, slots=True)
class Challenge:
    """What every refusal of one resource server says of it.

    Attributes:
        realm: its name.
        resource_metadata: the URL of its metadata (RFC 9728), or nothing if none is published.
    """

    realm: str
    resource_metadata: str = ""

    def header(self, *, scope: Scope = Scope(), error: str = "", description: str = "") -> str:
        """Return the value of WWW-Authenticate.

        Args:
            scope: what the request needs.
            error: an error code (RFC 6750 section 3.1); none for a request without a token.
            description: the sentence for it.
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
    """Whoever can say for which resource server a request was refused."""

    def challenge(self) -> Challenge:
        """Return what every refusal says."""
        ...


def offered(scope: Scope) -> Scope:
    """Return what of `scope` a resource server names to clients."""
    return scope - _NOT_OURS


def metadata_url(identifier: str) -> str:
    """Return where a resource server's metadata is; nothing if it is not named by a URL.

    Args:
        identifier: its identifier, the audience of its tokens.
    """
    parts = urlsplit(identifier)
    if parts.scheme not in {"https", "http"} or not parts.netloc:
        return ""
    path = WELL_KNOWN + metadata_suffix(identifier)
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def metadata_suffix(identifier: str) -> str:
    """Return what stands after the well-known path in the URL of a resource's metadata.

    RFC 9728 section 3.1: the well-known part goes between host and path; a path that is just a
    slash is dropped.
    """
    path = urlsplit(identifier).path
    return "" if path == "/" else path
