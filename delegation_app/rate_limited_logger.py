"""Rate-limited logging. Imports no other module of the package: every layer may use it."""

from __future__ import annotations

import logging
import time
from typing import Final

EVERY: Final = 60.0


class RateLimitedLogger:
    """Logs a recurring failure at most once a minute.

    Args:
        logger: where the lines go.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.forget()

    def forget(self) -> None:
        """Log the next failure in any case."""
        self._next = float("-inf")

    def warning(self, message: str, *values: object, error: BaseException | None = None) -> None:
        """Log a warning, unless a line was logged in the last minute.

        Args:
            message: with a placeholder for each of `values`.
            values: as for `logging`.
            error: an exception whose traceback is logged with it.
        """
        self._log(logging.WARNING, message, values, error)

    def error(self, message: str, *values: object, error: BaseException | None = None) -> None:
        """Log an error; see `warning`."""
        self._log(logging.ERROR, message, values, error)

    def _log(
        self, level: int, message: str, values: tuple[object, ...], error: BaseException | None
    ) -> None:
        moment = time.monotonic()
        if moment >= self._next:
            self._next = moment + EVERY
            self._logger.log(level, message, *values, exc_info=error)
