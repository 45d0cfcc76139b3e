import io
import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.printable import logger_for, printable

pytestmark = pytest.mark.any_database

# What begins a line, moves a cursor, or turns the direction of writing around
HOSTILE = [
    "\n", "\r", "\x0b", "\x0c", "\x00", "\x07", "\x08", "\x1b[2J", "\x7f", "\x85", "\x9b31m",
    "\u2028", "\u2029", "\u202e", "\u2066", "\u200f", "\u061c", "\ufeff", "\u200b", "\ud800",
    "\udcff", "\U000e0041",
]  # fmt: skip
FORGED = "2026-01-01 CRITICAL forged"


def is_harmless(text):
    wrong = {"Cc", "Cs", "Zl", "Zp"}
    return not any(unicodedata.category(one) in wrong or one in HOSTILE for one in text)


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_printable_when_a_character_is_hostile(hostile):
    text = printable(f"a{hostile}b")
    assert is_harmless(text)
    assert text.startswith("a�")
    assert text.endswith("b")


@given(st.text(st.characters()))
def test_printable_when_the_text_is_arbitrary(text):
    found = printable(text)
    assert is_harmless(found)
    assert len(found) == len(text)
    assert found.encode().decode() == found
    assert printable(text, 3) == found[:3]


@pytest.mark.parametrize("text", ["Größe 漢字 🙂", "می‌خواهم", "क्‍ष", "a\u00a0b"])
def test_printable_when_people_write_in_their_script(text):
    assert printable(text) == text


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_oauth_error_when_it_quotes_what_was_sent(hostile):
    error = InvalidRequest(f"Unknown: {hostile}{FORGED}", detail=f"sent: {hostile}{FORGED}")
    assert is_harmless(str(error))
    assert is_harmless(error.detail)
    assert is_harmless(error.payload()["error_description"])


@pytest.fixture
def log():
    """A logger of ours, and what its handler writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger = logger_for("delegation_app.a_test")
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, stream
    logger.removeHandler(handler)


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_log_when_a_message_quotes(log, hostile):
    logger, stream = log
    logger.warning("%s of %d", f"x{hostile}{FORGED}", 7)
    logger.warning("%(name)s", {"name": f"x{hostile}{FORGED}"})
    logger.warning(f"x{hostile}{FORGED}")  # noqa: G004 - whoever does so is served as well
    logger.warning("%s", ValueError(f"x{hostile}{FORGED}"))

    first, *rest = stream.getvalue().removesuffix("\n").split("\n")
    assert first.endswith("of 7")
    assert len(rest) == 3
    assert all(map(is_harmless, [first, *rest]))


def fail_twice(text):
    try:
        {}[text]
    except KeyError as error:
        other = ValueError(text)
        other.add_note(text)
        raise other from error


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_log_when_an_exception_quotes(log, hostile):
    logger, stream = log
    try:
        fail_twice(f"x{hostile}{FORGED}")
    except ValueError as error:
        logger.exception("failed")
        logger.warning("failed", exc_info=error)

    lines = stream.getvalue().split("\n")
    assert all(map(is_harmless, lines))
    assert not [line for line in lines if line.startswith(FORGED[:4])]
    assert sum(line.startswith("ValueError: x") for line in lines) == 2
    assert sum(line.startswith("KeyError: ") for line in lines) == 2
    assert [line for line in lines if line.startswith('  File "')]


def test_log_when_nothing_is_hostile(log):
    logger, stream = log
    try:
        fail_twice("plain")
    except ValueError as error:
        logger.exception("failed %r %.2s %s", 1, "abc", None)
        expected = logging.Formatter().formatException((type(error), error, error.__traceback__))
    assert stream.getvalue() == f"ERROR failed 1 ab None\n{expected}\n"
