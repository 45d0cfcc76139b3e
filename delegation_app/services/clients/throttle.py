"""Counting failed attempts, atomically, in the site's cache.

Each attempt is counted before it is evaluated, and given back unless it failed, so concurrent
attempts have the same limit as sequential ones. The number of counters per caller is bounded: the
budget of the address comes first, and a refusal there leaves no key in the cache.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from threading import Lock
from typing import Final

from django.core.cache import BaseCache

from delegation_app.conf import conf
from delegation_app.protocol.errors import TooManyAttempts
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.requests.addresses import parse_address, parse_network
from delegation_app.protocol.secrets import digest
from delegation_app.services import caching

logger = logger_for("delegation_app")

_WINDOW: Final = 60
# A network of this size has one owner (RFC 6177 section 2)
_IPV6_PREFIX: Final = 64

# In multiples of the failures of one client from one address: all clients from one address,
_ALL_CLIENTS: Final = 3
# one client from all addresses,
_ALL_ADDRESSES: Final = 10
# and all callers behind a possible proxy that is not configured.
_BEHIND_A_PROXY: Final = 3
# Where such proxies stand: this machine and private networks (RFC 1918, 4193, 4291, 6598)
_LOCAL: Final = tuple(
    map(
        parse_network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
         "169.254.0.0/16", "::1/128", "fc00::/7", "fe80::/10"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Budget:
    """How many failures a caller has in a minute.

    Attributes:
        caller: a unique text for the caller.
        most: failures in a minute.
    """

    caller: str
    most: int


class CountedAttempt:
    """One attempt; its caller sets `failed`."""

    def __init__(self) -> None:
        self.failed = False


class Allowance:
    """A limit per minute of an expensive operation of this process, without a cache."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.renew()

    def renew(self) -> None:
        """Reset."""
        self._minute = self._spent = 0

    def spend(self, most: int) -> bool:
        """Count one and return True if fewer than `most` were spent in this minute."""
        with self._lock:
            if self._minute != _minute():
                self._minute, self._spent = _minute(), 0
            if self._spent >= most:
                return False
            self._spent += 1
            return True


def of_addresses(ip: str | None, via: Sequence[str], most: int) -> list[Budget]:
    """Return the budgets of the origin of a request, the widest first.

    A caller with an unknown address is counted by its TCP peer. A local peer may be a proxy that is
    not configured, so it has a larger budget than an address; each value of its headers has the
    budget of an address, so no caller can exhaust the budget of all. Proxy headers of any other
    peer are forged, and ignored.

    Args:
        ip: the address; None if it is unknown.
        via: see `Sender.via`; used if the address is unknown.
        most: failures of one address in a minute.
    """
    peer, *said = via or ("",)
    if ip is not None or not _is_local(peer):
        return [Budget(f"address {_network(ip or peer)}", most)]
    return [
        Budget(f"peer {peer}", most * _BEHIND_A_PROXY),
        *(Budget(f"said {text}", most) for text in said),
    ]


def of_client(client_id: str, ip: str | None, via: Sequence[str], *, known: bool) -> list[Budget]:
    """Return the budgets of an authentication, that of the address first.

    Args:
        client_id: as sent.
        ip: the address; None if it is unknown.
        via: see `Sender.via`.
        known: whether the client exists. Other names are counted by address only.
    """
    most = conf.failed_authentications_per_minute
    budgets = of_addresses(ip, via, most * _ALL_CLIENTS)
    # Length-prefixed: no two callers share a text
    name = f"client {len(client_id)}:{client_id}"
    budgets += [
        Budget(f"{name} {budget.caller}", budget.most) for budget in of_addresses(ip, via, most)
    ]
    return [*budgets, Budget(name, most * _ALL_ADDRESSES)] if known else budgets


@contextmanager
def attempt(*budgets: Budget, refusal: str) -> Iterator[CountedAttempt]:
    """Count an attempt before it is made, and give it back unless it failed.

    Args:
        budgets: to count it in; first those that bound the number of the others.
        refusal: the public description if one is exhausted.

    Raises:
        TooManyAttempts: one is exhausted; the attempt was not made and does not count.
    """
    minute, made = _minute(), CountedAttempt()
    counted: list[str] = []
    try:
        for budget in budgets:
            counted.append(f"delegation:attempts:{minute}:{digest(budget.caller)}")
            if _count(counted[-1]) > budget.most:
                raise TooManyAttempts(refusal, retry_after=_rest())
        yield made
    finally:
        if not made.failed:
            for key in counted:
                _give_back(key)


def _count(key: str) -> int:
    """Increment and return a counter; 0 if the cache does not answer.

    Atomic in memory, Memcached and Redis. Other backends may lose concurrent counts; a check
    reports them.
    """

    def counted(cache: BaseCache) -> int:
        cache.add(key, 0, timeout=2 * _WINDOW)
        return cache.incr(key)

    try:
        return int(caching.use(counted))
    except Exception:
        # Without a cache the protection is lost, not the service
        logger.exception("an attempt was not counted")
        return 0


def _give_back(key: str) -> None:
    def given_back(cache: BaseCache) -> None:
        # Evicted meanwhile: a new count would start below zero
        with suppress(ValueError):
            cache.incr(key, -1)

    caching.later(given_back)


def _network(ip: str) -> str:
    address = parse_address(ip)
    if not isinstance(address, IPv6Address):
        return ip
    return str(IPv6Address(int(address) >> _IPV6_PREFIX << _IPV6_PREFIX))


def _is_local(peer: str) -> bool:
    address = parse_address(peer)
    return address is None or any(address in network for network in _LOCAL)


def _minute() -> int:
    return int(time.time()) // _WINDOW


def _rest() -> int:
    return _WINDOW - int(time.time()) % _WINDOW
