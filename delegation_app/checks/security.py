"""Checks for `check --deploy`: values that work but are dangerous."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any, Final

from django.core.checks import CheckMessage, Tags, register

from delegation_app.checks.bounds import BOUNDS
from delegation_app.checks.subjects import error, several
from delegation_app.conf import configured
from delegation_app.protocol.requests.addresses import Network, parse_network

# The widest networks that are assigned to one owner; 10.0.0.0/8 and fc00::/7 are for private use
_WIDEST: Final = {4: 8, 6: 16}
_UNIQUE_LOCAL: Final = IPv6Network("fc00::/7")
# As Django asks of SECRET_KEY, but in bytes of a key: 32 letters of hexadecimal are 128 bits
_SHORTEST_KEY: Final = 32
_FEWEST_LETTERS: Final = 5


@register(Tags.security, deploy=True)
def check_bounds(**_kwargs: Any) -> list[CheckMessage]:
    """E014: a number beyond its safe maximum."""
    return [
        error(
            f"{name} = {value} is too large: {bound.risk}.",
            f"Set it to {bound.most} or less.",
            "E014",
        )
        for name, bound in BOUNDS.items()
        if type(value := configured().get(name)) is int and bound.most < value and not bound.strict
    ]


@register(Tags.security, deploy=True)
def check_proxies(**_kwargs: Any) -> list[CheckMessage]:
    """E015: public addresses are trusted as proxies."""
    hint = "List only the networks of your own proxies."
    return [
        error(f"TRUSTED_PROXIES has {network}: callers could forge their address.", hint, "E015")
        for network in _wide(_trusted())
    ]


@register(Tags.security, deploy=True)
def check_key_secret(**_kwargs: Any) -> list[CheckMessage]:
    """E016: the secret that encrypts the signing keys can be guessed."""
    # The fallback is SECRET_KEY, which Django checks: security.W009
    hint = f"Use at least {_SHORTEST_KEY} random characters, and rotate the signing keys."
    message = "KEY_ENCRYPTION_KEY can be guessed, and so the signing keys of a stolen backup."
    return (
        [error(message, hint, "E016")] if any(map(_is_weak, several("KEY_ENCRYPTION_KEY"))) else []
    )


def _is_weak(secret: object) -> bool:
    text = str(secret)
    return len(text) < _SHORTEST_KEY or len(set(text)) < _FEWEST_LETTERS


def _trusted() -> Iterator[Network]:
    for text in several("TRUSTED_PROXIES"):
        try:
            yield parse_network(str(text))
        except ValueError:
            # E004 reports it
            continue


def _wide(networks: Iterator[Network]) -> Iterator[Network]:
    given = list(networks)
    # Adjacent networks can add up to a wide one
    found: list[Network] = [
        *collapse_addresses(one for one in given if isinstance(one, IPv4Network)),
        *collapse_addresses(one for one in given if isinstance(one, IPv6Network)),
    ]
    for network in found:
        if network.prefixlen < _WIDEST[network.version] and network != _UNIQUE_LOCAL:
            yield network
