"""Addresses: who really sent a request, and IP addresses and networks in one canonical form.

An IPv4 address that is written as IPv6 (::ffff:10.0.0.1) is the IPv4 address everywhere here, so
that a dual-stack listener does not step around a rule that names 10.0.0.0/8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

MAX_HOPS: Final = 50
_MAX_PORT: Final = 65535
_BRACKETED = re.compile(r"\[([^\[\]]+)\](?::([0-9]{1,5}))?")
_IPV4_WITH_PORT = re.compile(r"([0-9.]+):([0-9]{1,5})")
_CIDR = re.compile(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?")
# RFC 4291 section 2.5.5.2
_MAPPED = IPv6Network("::ffff:0:0/96")
# RFC 6177 section 2: no site has less
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
    """Read one network in CIDR notation, or one address as the network of just itself.

    Args:
        text: such as `10.0.0.0/8` or `2001:db8::/32`.

    Returns:
        The network, IPv4 if it consists of IPv4-mapped addresses.

    Raises:
        ValueError: not CIDR notation, or host bits are set.
    """
    # ip_network also takes netmasks and zones, which are two ways of writing what has one here.
    if not _CIDR.fullmatch(text):
        raise ValueError("not a network in CIDR notation")
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        octets = network.network_address.packed[-4:]
        return IPv4Network((octets, network.prefixlen - _MAPPED.prefixlen))
    return network


def budget_of(text: str | None) -> str:
    """Return what shares a budget with an address: itself, or the /64 of an IPv6 address.

    Args:
        text: an address, or None where it is not known.

    Returns:
        An address or a network; empty for what is not known or not an address.
    """
    address = None if text is None else parse_address(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), _SITE), strict=False))
    return "" if address is None else str(address)


def client_address(peer: str, forwarded_for: str, trusted: Iterable[str]) -> str | None:
    """Tell from which address a request was really sent.

    Only what a proxy of the site has written is believed. Each proxy appends the address that it
    saw, so the header is read from its right end as far as the proxies go; whatever stands left
    of that was written by the sender.

    Args:
        peer: address of the TCP peer.
        forwarded_for: value of X-Forwarded-For; several headers are joined by commas; may be empty.
        trusted: networks of the site's own proxies in CIDR notation.

    Returns:
        The address in canonical text, or None when it can't be known: who judges addresses then
        refuses.

    Raises:
        ValueError: a member of `trusted` is not a network. No request can cause this.
    """
    networks = _networks(tuple(trusted))
    sender = _hop(peer)
    hops = forwarded_for.strip(" \t")
    if sender is None or not hops or not _within(sender, networks):
        return _text(sender)
    # The limit keeps a hostile header from costing time.
    if hops.count(",") >= MAX_HOPS:
        return None
    for hop in reversed(hops.split(",")):
        sender = _hop(hop)
        if sender is None or not _within(sender, networks):
            break
    return _text(sender)


@lru_cache(maxsize=32)
def _networks(trusted: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(parse_network(text) for text in trusted)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)


def _text(address: Address | None) -> str | None:
    return None if address is None else str(address)


def _hop(text: str) -> Address | None:
    """Read one address that may have a port, in the forms that proxies write."""
    bare = text.strip(" \t")
    match = _BRACKETED.fullmatch(bare) or _IPV4_WITH_PORT.fullmatch(bare)
    if match is None:
        return parse_address(bare)
    address, port = match.groups()
    # RFC 3986 section 3.2.2: only IPv6 stands in brackets
    misplaced = bare.startswith("[") and ":" not in address
    if misplaced or int(port or 0) > _MAX_PORT:
        return None
    return parse_address(address)
