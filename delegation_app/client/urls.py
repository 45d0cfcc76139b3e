"""URLs that may receive secrets and tokens."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from delegation_app.protocol.requests.addresses import parse_address

# RFC 3986 section 2: the characters of a URI. Python's parser silently drops tabs and newlines.
_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]{1,2000}")
_PORTS: Final = {"https": 443, "http": 80}


def is_secure(url: str) -> bool:
    """Return whether `url` is https, or http on loopback.

    A URL with a user name, a fragment or a character outside RFC 3986 is not.
    """
    parts = _split(url)
    if parts is None:
        return False
    return parts.scheme == "https" or is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Return whether `host` is loopback (RFC 8252 section 7.3, RFC 6761 section 6.3)."""
    address = parse_address(host)
    return host == "localhost" if address is None else address.is_loopback


def origin_of(url: str) -> str | None:
    """Return scheme, host and port in one spelling (RFC 6454 section 4), or None."""
    parts = _split(url)
    if parts is None:
        return None
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"


def _split(url: str) -> SplitResult | None:
    if not _CHARACTERS.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    # Brackets without an address, or a malformed port
    except ValueError:
        return None
    usable = parts.scheme in _PORTS and parts.hostname and "@" not in parts.netloc and port != 0
    return parts if usable else None
