"""The present moment by the database's clock, with which all stored times are compared.

The clocks of nodes differ by seconds, or by hours if one was never set. All nodes can read the
clock of PostgreSQL, so each process measures the offset of its own clock and adds it. SQLite runs
on the same machine and has no clock of its own.
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

# A larger offset causes a log line and a system check message
NOTABLE: Final = timedelta(seconds=2)

_INTERVAL: Final = 30.0
# Without persistent connections, every request opens one
_MIN_INTERVAL: Final = 1.0
# A smaller offset may be the round trip
_EQUAL: Final = timedelta(milliseconds=100)
# A slower measurement is too inaccurate
_MAX_ROUND_TRIP: Final = 1.0
_JUMP: Final = 1.0
_ZERO: Final = timedelta(0)
# Advances while the machine sleeps, if the system has such a clock
_BOOT: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)

_off = RateLimitedLogger(logger)


@dataclass(frozen=True, slots=True)
class _Measured:
    """A measurement.

    Attributes:
        offset: the database's clock minus this machine's.
        wall, steady: this machine's clocks at that moment, in seconds.
    """

    offset: timedelta
    wall: float
    steady: float


class _State:
    """The last measurement of this process, and the earliest time of the next."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.measured: _Measured | None = None
        self.not_before = float("-inf")


_state = _State()


def now() -> datetime:
    """Return the present moment in UTC, by the database's clock.

    Without a measurement it is this machine's clock.

    Side effects: on PostgreSQL one short statement every 30 seconds, or after a jump of this
        machine's clock, if this thread has an open connection. A failing database is no error here.

    Raises:
        ImproperlyConfigured: USE_TZ is False, so that Django returns times without a zone.
    """
    if not settings.USE_TZ:
        raise ImproperlyConfigured("delegation_app needs USE_TZ = True.")
    if _state.measured is None:
        return timezone.now()
    return timezone.now() + _offset(_state.measured)


def drift() -> timedelta:
    """Return the last measured lead of the database's clock over this machine's."""
    return _ZERO if _state.measured is None else _state.measured.offset


def forget() -> None:
    """Drop the measurement, as in a new process."""
    _state.forget()
    _off.forget()


def on_connection(connection: Any, **_kwargs: object) -> None:
    """Measure on a new connection. Receiver of `connection_created`."""
    if connection.vendor == "postgresql" and connection.alias == _alias():
        last = _state.measured
        if last is None or _steady() - last.steady >= _MIN_INTERVAL:
            _measure(connection)


def _offset(last: _Measured) -> timedelta:
    steady = _steady()
    passed = steady - last.steady
    jump = _wall() - last.wall - passed
    if abs(jump) < _JUMP:
        jump = 0.0
    if (jump or passed >= _INTERVAL) and steady >= _state.not_before:
        _measure_again()
        if _state.measured is not None and _state.measured is not last:
            return _state.measured.offset
    # The database's clock did not jump
    return last.offset - timedelta(seconds=jump)


def _measure_again() -> None:
    connection = connections[_alias()]
    # Opening a connection here could block on a server that is down
    if connection.connection is not None:
        _measure(connection)


def _measure(connection: Any) -> None:
    _state.not_before = _steady() + _MIN_INTERVAL
    try:
        before = _wall()
        # The driver's cursor: this belongs to no request, so wrappers and logs skip it
        with connection.connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())::double precision")
            (seconds,) = cursor.fetchone()
        after = _wall()
    # Any error of the driver: the next statement meets it too, and reports it
    except Exception as error:
        logger.debug("cannot read the database's clock", exc_info=error)
        return
    if not 0 <= after - before <= _MAX_ROUND_TRIP:
        return
    offset = timedelta(seconds=float(seconds) - (before + after) / 2)
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
