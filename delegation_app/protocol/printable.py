"""Printable text on one line, and loggers that write nothing else.

Text from a request ends up in logs, on terminals and in the audit trail. There it must not start a
new line, move the cursor or reverse the direction of writing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from traceback import TracebackException
from typing import Any, Final

# Control characters (C0, DEL, C1), line and paragraph separators, invisible characters, direction
# marks, tags and halves of a surrogate pair. Joiners stay: scripts need them.
UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_REPLACEMENT: Final = "�"
_STACK: Final = "  File "
_HEADINGS: Final = (
    "Traceback (most recent call last):\n",
    "\nDuring handling of the above exception, another exception occurred:\n\n",
    "\nThe above exception was the direct cause of the following exception:\n\n",
)


def printable(text: str, length: int | None = None) -> str:
    """Return `text` on one line, with each unprintable character replaced.

    Args:
        text: any text.
        length: the number of characters to keep; None keeps all.
    """
    return UNPRINTABLE.sub(_REPLACEMENT, text[:length])


def logger_for(name: str) -> logging.Logger:
    """Return the logger `name`, whose messages, arguments and tracebacks are printable."""
    logger = logging.getLogger(name)
    logger.addFilter(_ONLY_PRINTABLE)
    return logger


class _OnlyPrintable(logging.Filter):
    """Rewrites records before handlers see them, and drops none."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite a record."""
        record.msg = printable(str(record.msg))
        if isinstance(record.args, Mapping):
            record.args = {name: _argument(value) for name, value in record.args.items()}
        elif record.args:
            record.args = tuple(map(_argument, record.args))
        if record.exc_info and record.exc_info[1] is not None:
            # A formatter uses this text if it is set, and formats the exception otherwise
            record.exc_text = _traceback(record.exc_info[1])
        return True


_ONLY_PRINTABLE: Final = _OnlyPrintable()


def _argument(value: Any) -> Any:
    return value if isinstance(value, int | float | None) else printable(str(value))


def _traceback(error: BaseException) -> str:
    found = TracebackException.from_exception(error)
    _clean_notes(found)
    return "".join(map(_part, found.format())).removesuffix("\n")


def _clean_notes(found: TracebackException) -> None:
    # Each line of a note would be a part of its own
    if found.__notes__:
        found.__notes__ = [printable(str(note)) for note in found.__notes__]
    for other in (found.__cause__, found.__context__, *(found.exceptions or ())):
        if other is not None:
            _clean_notes(other)


def _part(part: str) -> str:
    if part in _HEADINGS:
        return part
    if part.startswith(_STACK):
        return "".join(f"{printable(line)}\n" for line in part.removesuffix("\n").split("\n"))
    return f"{printable(part.removesuffix(chr(10)))}\n"
