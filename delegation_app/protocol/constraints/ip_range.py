"""ip_range: the networks from which a delegation may be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any, ClassVar, Final, Self

from delegation_app.protocol.constraints.base import (
    AccessContext,
    Constraint,
    EnforcementPoint,
    InvalidConstraint,
    check_members,
    listed,
    strings,
)
from delegation_app.protocol.requests.addresses import Network, parse_address, parse_network

MAX_NETWORKS: Final = 100


@dataclass(frozen=True, slots=True)
class IpRange(Constraint):
    """Disjoint networks that do not touch, IPv4 before IPv6, each in ascending order."""

    TYPE: ClassVar[str] = "ip_range"
    # At introspection the caller is the resource server, whose address is irrelevant
    ENFORCED_AT: ClassVar[frozenset[EnforcementPoint]] = frozenset(
        {EnforcementPoint.ISSUE, EnforcementPoint.HAND_ON, EnforcementPoint.RESOURCE}
    )

    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, members: Mapping[str, object]) -> Self:
        """Read `networks`, an array of networks in CIDR notation without host bits.

        Raises:
            InvalidConstraint: the members are not as described.
        """
        check_members(cls.TYPE, members, required=["networks"])
        texts = strings(cls.TYPE, "networks", members["networks"], limit=MAX_NETWORKS)
        try:
            return cls(_canonical(parse_network(text) for text in texts))
        except ValueError as error:
            raise InvalidConstraint(
                "ip_range: a network must be in CIDR notation without host bits."
            ) from error

    def as_json(self) -> dict[str, Any]:
        return {"type": self.TYPE, "networks": [str(network) for network in self.networks]}

    def narrowed(self, parent: Self) -> Self:
        """Return the networks that both contain.

        Raises:
            InvalidConstraint: there is none, or there are too many.
        """
        pairs = ((own, other) for own in self.networks for other in parent.networks)
        both = _canonical(net for own, other in pairs for net in _intersection(own, other))
        if not both:
            raise InvalidConstraint("ip_range: no network would be left.")
        if len(both) > MAX_NETWORKS:
            raise InvalidConstraint(f"ip_range: more than {MAX_NETWORKS} networks would be left.")
        return type(self)(both)

    def refusal(self, access: AccessContext) -> str | None:
        """Permit an access from an address that is known and in one of the networks."""
        address = None if access.ip is None else parse_address(access.ip)
        if address is None:
            return "The address of this request is unknown: see TRUSTED_PROXIES."
        if any(address in network for network in self.networks):
            return None
        return "It may not be used from this address."

    def describe(self) -> str:
        return f"Only from {listed(map(str, self.networks))}."


def _canonical(networks: Iterable[Network]) -> tuple[Network, ...]:
    given = tuple(networks)
    return (
        *collapse_addresses(net for net in given if isinstance(net, IPv4Network)),
        *collapse_addresses(net for net in given if isinstance(net, IPv6Network)),
    )


def _intersection(one: Network, other: Network) -> list[Network]:
    """Return the inner of two networks; they are nested or have nothing in common."""
    if one.version != other.version or not one.overlaps(other):
        return []
    return [max(one, other, key=lambda network: network.prefixlen)]
