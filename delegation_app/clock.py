"""The clock that everything stored is compared with: the database's.

Nodes differ by seconds, and by hours where a clock was never set. PostgreSQL has a clock that all
of them can read, so each process measures how far its own one is off, and adds that. SQLite runs on
the same machine and has no other clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.utils import timezone

from delegation_app.protocol.printable import logger_for
from delegation_app.rate_limited_logger import RateLimitedLogger

logger = logger_for("delegation_app")

# More than this between two nodes is worth a line in the log, and a system check
NOTABLE: Final = timedelta(seconds=2)

_EVERY: Final = 30.0
# A connection may be made for each request; that is no reason to measure for each
_LEAST: Final = 1.0
# Smaller differences are the way to the database and back
_EQUAL: Final = timedelta(milliseconds=100)
# What took longer says too little
_LONGEST_WAY: Final = 1.0
_JUMP: Final = 1.0
_ZERO: Final = timedelta(0)
# Goes on while the machine sleeps, where the system has such a clock
_BOOT: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)

_off = RateLimitedLogger(logger)


@dataclass(frozen=True, slots=True)
class _Measured:
    """How far this machine's clock was off.

    Attributes:
        offset: the database's clock less this machine's.
        wall, steady: the readings of this machine's clocks at that moment, in seconds.
    """

    offset: timedelta
    wall: float
    steady: float


class _State:
    """What this process measured last, and when it may try again."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.measured: _Measured | None = None
        self.not_before = float("-inf")


_state = _State()


def now() -> datetime:
    """Return the present moment in UTC, by the database's clock.

    Works without a database, where it is this machine's clock.

    Side effects: on PostgreSQL one short statement every 30 seconds, or after this machine's clock
    has jumped, if this thread has a connection open. A database that fails is no error here.

    Raises:
        ImproperlyConfigured: USE_TZ is False, so that Django returns times without a zone.
    """
    if not settings.USE_TZ:
        raise ImproperlyConfigured("delegation_app needs USE_TZ = True.")
    if _state.measured is None:
        return timezone.now()
    return timezone.now() + _offset(_state.measured)


def drift() -> timedelta:
    """Return how far the database's clock is ahead of this machine's, as measured last."""
    return _ZERO if _state.measured is None else _state.measured.offset


def forget() -> None:
    """Know nothing, as a process that has just begun."""
    _state.forget()
    _off.forget()


def on_connection(connection: Any, **_kwargs: object) -> None:
    """Measure on a connection that was just made. Receiver of `connection_created`."""
    if connection.vendor == "postgresql" and connection.alias == _alias():
        last = _state.measured
        if last is None or _steady() - last.steady >= _LEAST:
            _measure(connection)


def _offset(last: _Measured) -> timedelta:
    steady = _steady()
    passed = steady - last.steady
    jump = _wall() - last.wall - passed
    if abs(jump) < _JUMP:
        jump = 0.0
    if (jump or passed >= _EVERY) and steady >= _state.not_before:
        _measure_again()
        if _state.measured is not None and _state.measured is not last:
            return _state.measured.offset
    # The database's clock did not jump with this one
    return last.offset - timedelta(seconds=jump)


def _measure_again() -> None:
    connection = connections[_alias()]
    # None is opened for this: a server that is away must not be waited for here
    if connection.connection is not None:
        _measure(connection)


def _measure(connection: Any) -> None:
    _state.not_before = _steady() + _LEAST
    try:
        before = _wall()
        # The driver's own cursor: this belongs to no request, so no wrapper or log has to see it
        with connection.connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())::double precision")
            (told,) = cursor.fetchone()
        after = _wall()
    # Whatever a driver raises: the statement that comes next meets it too, and says so
    except Exception as error:
        logger.debug("the database's clock could not be read", exc_info=error)
        return
    way = after - before
    if not 0 <= way <= _LONGEST_WAY:
        return
    offset = timedelta(seconds=float(told) - (before + after) / 2)
    if abs(offset) < _EQUAL:
        offset = _ZERO
    _state.measured = _Measured(offset, after, _steady())
    if abs(offset) > NOTABLE:
        _off.warning(
            "this machine's clock is %.1f seconds off the database's; synchronize it with NTP",
            -offset.total_seconds(),
        )


def _alias() -> str:
    return router.db_for_write(apps.get_model("delegation_app", "Delegation"))


def _wall() -> float:
    return time.time()


def _steady() -> float:
    return time.monotonic() if _BOOT is None else time.clock_gettime(_BOOT)
