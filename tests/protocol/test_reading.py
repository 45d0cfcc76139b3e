from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.requests import reading

pytestmark = pytest.mark.any_database

FAR = [timezone(timedelta(hours=hours, minutes=59)) for hours in (-23, 23)]
ZONE = ZoneInfo("Pacific/Kiritimati")


@given(st.datetimes(timezones=st.sampled_from([UTC, ZONE, *FAR])))
def test_moment_when_it_passes(when):
    try:
        found = reading.moment(when.isoformat())
    except ValueError:
        # Only at the ends
        assert when.year in {1, 9999}
        return
    assert found == when
    for zone in (UTC, ZONE, *FAR):
        assert found.astimezone(zone) == when


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+23:59", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59",
        "9999-12-31T23:59:59Z", "0001-01-01", "9999-12-31", "10000-01-01", "2026-02-30", "noon",
        "", "\x00", "\ud800",
    ],
)  # fmt: skip
def test_moment_when_it_is_none(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the message depends on what is wrong
        reading.moment(text, ZONE)


def test_moment_when_it_has_no_offset():
    found = reading.moment("2026-11-03T14:00", ZONE)
    assert found == datetime(2026, 11, 3, 0, 0, tzinfo=UTC)
    with pytest.raises(ValueError, match="offset"):
        reading.moment("2026-11-03T14:00")


@pytest.mark.parametrize("text", ["0", "1", "007", str(2**63 - 1)])
def test_key_when_a_database_takes_it(text):
    assert reading.key(text) == int(text)


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", " 1", "1_0", "1.0", "\u0663", "\x00", str(2**63), "9" * 40, "9" * 5000]
)
def test_key_when_no_database_takes_it(text):
    with pytest.raises(ValueError, match="not a key"):
        reading.key(text)


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "a\udfffb"])
def test_text_when_no_database_takes_it(text):
    with pytest.raises(ValueError, match="cannot be stored"):
        reading.text(text)


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",))))
def test_text_when_it_can_be_stored(text):
    assert reading.text(text) == text
    assert reading.is_storable(text)


@pytest.mark.parametrize("value", [2**63, -(2**63), 10**40, float("inf"), float("nan")])
def test_number_when_no_database_takes_it(value):
    assert not reading.is_storable(value)
