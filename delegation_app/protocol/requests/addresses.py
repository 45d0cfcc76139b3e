"""The address of a caller, and IP addresses and networks in one canonical form.

An IPv4-mapped IPv6 address (::ffff:10.0.0.1) is the IPv4 address everywhere here, so that a
dual-stack listener does not bypass a rule for 10.0.0.0/8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, TypeAlias

from delegation_app.protocol.secrets import masked

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# In TRUSTED_PROXIES: the proxy that connects through a Unix domain socket
SOCKET: Final = "unix"

MAX_HOPS: Final = 50
_MAX_CLAIM: Final = 64
# Headers that a proxy adds besides X-Forwarded-For (RFC 7239 section 5 and its predecessors)
_ADDED_BY_PROXIES: Final = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_SCHEME",
    "HTTP_X_FORWARDED_SSL",
    "HTTP_X_REAL_IP",
)
_MAX_PORT: Final = 65535
# An IPv6 address in brackets, with a zone and a port, is shorter
_MAX_HOP: Final = 100
_BRACKETED = re.compile(r"\[([^\[\]]+)\](?::([0-9]{1,5}))?")
_IPV4_WITH_PORT = re.compile(r"([0-9.]+):([0-9]{1,5})")
_CIDR = re.compile(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?")
# RFC 4291 section 2.5.5.2
_MAPPED = IPv6Network("::ffff:0:0/96")
# RFC 6177 section 2: the smallest assignment to a site
_SITE: Final = 64


def parse_address(text: str) -> Address | None:
    """Read one IP address without a port.

    Args:
        text: IPv4, or IPv6 with or without a zone (RFC 4007 section 11), which is dropped.

    Returns:
        The address, IPv4 if it is an IPv4-mapped one, or None when `text` is not an address.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def parse_network(text: str) -> Network:
    """Read one network in CIDR notation, or one address as a network of one.

    Args:
        text: such as `10.0.0.0/8` or `2001:db8::/32`.

    Returns:
        The network, IPv4 if its addresses are IPv4-mapped.

    Raises:
        ValueError: not CIDR notation, or host bits are set.
    """
    # ip_network also takes netmasks and zones: a second spelling of the same network
    if not _CIDR.fullmatch(text):
        raise ValueError("not a network in CIDR notation")
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        octets = network.network_address.packed[-4:]
        return IPv4Network((octets, network.prefixlen - _MAPPED.prefixlen))
    return network


@dataclass(frozen=True, slots=True)
class Sender:
    """The sender of a request.

    Attributes:
        address: the IP address in canonical text; None if it is unknown.
        via: for an unknown address, what distinguishes callers, the most reliable first: the TCP
            peer, then the peer with its claim about the caller.
    """

    address: str | None
    via: tuple[str, ...] = ()


def sender_of(
    environ: Mapping[str, Any], trusted: Iterable[str], proxy_headers: Iterable[str] = ()
) -> Sender:
    """Return the sender of a request, as far as it is known.

    A forwarded request, by its headers, has the address that a trusted proxy wrote into
    X-Forwarded-For, or none: the address of a proxy is not that of the caller.

    Args:
        environ: of the request (PEP 3333).
        trusted: the site's own proxies; see `client_address`.
        proxy_headers: further keys of `environ` that only a proxy of the site sets.
    """
    peer = str(environ.get("REMOTE_ADDR") or "")
    forwarded_for = str(environ.get("HTTP_X_FORWARDED_FOR") or "").strip(" \t")
    address = client_address(peer, forwarded_for, trusted)
    signs = (*_ADDED_BY_PROXIES, *proxy_headers)
    if not forwarded_for and any(environ.get(name) for name in signs):
        address = None
    if address is not None:
        return Sender(address)
    surest = _text(_hop(peer)) or peer or SOCKET
    claim = masked(forwarded_for.rpartition(",")[2].strip(" \t"))[:_MAX_CLAIM]
    return Sender(None, (surest, f"{surest} {claim}") if claim else (surest,))


def budget_of(text: str | None) -> str:
    """Return the key under which an address is throttled: itself, or the /64 of an IPv6 address.

    Args:
        text: an address; None if it is unknown.

    Returns:
        An address or a network; empty if unknown or not an address.
    """
    address = None if text is None else parse_address(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), _SITE), strict=False))
    return "" if address is None else str(address)


def client_address(peer: str, forwarded_for: str, trusted: Iterable[str]) -> str | None:
    """Return the address of the caller.

    Only proxies of the site are trusted. Each proxy appends the address that it saw, so the header
    is read from its right end as far as the proxies go; the rest is written by the caller.

    Args:
        peer: address of the TCP peer; empty for a Unix domain socket.
        forwarded_for: value of X-Forwarded-For; several headers are joined by commas; may be empty.
        trusted: the site's own proxies: networks in CIDR notation, and SOCKET.

    Returns:
        The address in canonical text; None if it is unknown, which constraints on addresses refuse.
        A header from an untrusted peer makes it unknown: either TRUSTED_PROXIES lacks the site's
        proxy, or the caller wrote the header.

    Raises:
        ValueError: a member of `trusted` is not a network. No request can cause this.
    """
    named = tuple(trusted)
    networks = _networks(tuple(text for text in named if text != SOCKET))
    sender = _hop(peer)
    hops = forwarded_for.strip(" \t")
    if not hops:
        return _text(sender)
    is_trusted = _within(sender, networks) if sender else _is_socket(peer) and SOCKET in named
    # The limit bounds the cost of a hostile header
    if not is_trusted or hops.count(",") >= MAX_HOPS:
        return None
    for hop in reversed(hops.split(",")):
        sender = _hop(hop)
        if sender is None or not _within(sender, networks):
            break
    return _text(sender)


def check_trusted(text: str) -> None:
    """Check a member of TRUSTED_PROXIES.

    Raises:
        ValueError: neither a network in CIDR notation nor SOCKET.
    """
    if text != SOCKET:
        parse_network(text)


def _is_socket(peer: str) -> bool:
    # Servers pass an empty text, or the path of the socket
    return not peer or peer.startswith(f"{SOCKET}:")


@lru_cache(maxsize=32)
def _networks(trusted: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(parse_network(text) for text in trusted)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _text(address: Address | None) -> str | None:
    return None if address is None else str(address)


def _hop(text: str) -> Address | None:
    bare = text.strip(" \t")
    if len(bare) > _MAX_HOP:
        return None
    match = _BRACKETED.fullmatch(bare) or _IPV4_WITH_PORT.fullmatch(bare)
    if match is None:
        return parse_address(bare)
    address, port = match.groups()
    # RFC 3986 section 3.2.2: brackets are for IPv6 only
    misplaced = bare.startswith("[") and ":" not in address
    if misplaced or int(port or 0) > _MAX_PORT:
        return None
    return parse_address(address)
