from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from delegation_app.protocol.constraints import AccessContext, EnforcementPoint, InvalidConstraint
from delegation_app.protocol.constraints.time_window import TimeWindow

pytestmark = pytest.mark.any_database

OFFICE = {"days": ["mon", "tue"], "from": "09:00", "to": "17:00"}
WORKDAYS = ["mon", "tue", "wed", "thu", "fri"]
BERLIN = ZoneInfo("Europe/Berlin")
START = "2026-01-01T00:00:00Z"


def window(**members):
    return TimeWindow.parse({name.strip("_"): value for name, value in members.items()})


def hours(*entries, zone="Europe/Berlin"):
    return window(weekly=list(entries), time_zone=zone)


def entry(days, start, end):
    return {"days": days.split(), "from": start, "to": end}


def permits(constraint, now):
    return constraint.refusal(AccessContext(EnforcementPoint.ISSUE, now)) is None


def local(day, hour, minute=0, *, fold=0):
    """Return a time in Berlin in March 2026; the 2nd is a Monday."""
    return datetime(2026, 3, day, hour, minute, tzinfo=BERLIN, fold=fold)


def test_time_window_when_outside_its_dates():
    constraint = window(not_before=START, not_after="2026-02-01T00:00:00+01:00")
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 31, 23, tzinfo=UTC)
    moment = timedelta(microseconds=1)

    assert permits(constraint, first)
    assert permits(constraint, last - moment)
    assert (
        constraint.refusal(AccessContext(EnforcementPoint.ISSUE, first - moment))
        == "It may not be used yet."
    )
    assert (
        constraint.refusal(AccessContext(EnforcementPoint.ISSUE, last))
        == "It may no longer be used."
    )


def test_time_window_when_written():
    constraint = window(not_before="2026-01-01T01:00:00.5+02:00", not_after=START.replace("6", "7"))
    assert constraint.as_json() == {
        "type": "time_window",
        "not_before": "2025-12-31T23:00:00.500000Z",
        "not_after": "2027-01-01T00:00:00Z",
    }


@pytest.mark.parametrize(
    ("entries", "permitted", "refused"),
    [
        ([OFFICE], [(2, 9), (3, 16, 59)], [(2, 8, 59), (2, 17), (4, 12)]),
        ([entry("mon", "22:00", "06:00")], [(2, 22), (3, 5, 59)], [(2, 5), (3, 6), (3, 22)]),
        ([entry("sun", "22:00", "06:00")], [(1, 23), (2, 3)], [(1, 3)]),
        # The end of an entry that equals its start is a day later
        ([entry("mon", "09:00", "09:00")], [(2, 9), (3, 8, 59)], [(3, 9), (2, 8, 59)]),
        ([entry("mon", "18:00", "24:00")], [(2, 23, 59)], [(3, 0)]),
        ([entry("mon", "18:00", "00:00")], [(2, 23, 59)], [(3, 0)]),
    ],
)
def test_weekly_hours(entries, permitted, refused):
    constraint = hours(*entries)
    for moment in permitted:
        assert permits(constraint, local(*moment))
        assert permits(constraint, local(*moment).astimezone(UTC))
    for moment in refused:
        access = AccessContext(EnforcementPoint.ISSUE, local(*moment))
        assert constraint.refusal(access) == "It may not be used at this hour."


def test_weekly_hours_when_written():
    assert hours(entry("mon", "22:00", "06:00")).as_json()["weekly"] == [
        {"days": ["mon"], "from": "22:00", "to": "24:00"},
        {"days": ["tue"], "from": "00:00", "to": "06:00"},
    ]
    assert hours(entry("mon", "18:00", "00:00")) == hours(entry("mon", "18:00", "24:00"))


def test_time_window_when_clocks_go_forward():
    constraint = hours(entry("sun", "02:00", "03:00"))
    before = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert not any(permits(constraint, before + timedelta(minutes=30 * step)) for step in range(4))
    assert permits(constraint, local(22, 2, 30))


def test_time_window_when_clocks_go_back():
    constraint = hours(entry("sun", "02:00", "03:00"))
    first = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)
    assert permits(constraint, first)
    assert permits(constraint, first + timedelta(minutes=119))
    assert not permits(constraint, first + timedelta(minutes=120))
    assert not permits(constraint, first - timedelta(minutes=1))


def test_time_window_when_entries_overlap():
    constraint = hours(
        entry("tue mon mon", "09:00", "12:00"),
        entry("mon", "12:00", "13:00"),
        entry("mon", "10:00", "11:00"),
    )

    assert constraint.as_json() == {
        "type": "time_window",
        "weekly": [
            {"days": ["mon"], "from": "09:00", "to": "13:00"},
            {"days": ["tue"], "from": "09:00", "to": "12:00"},
        ],
        "time_zone": "Europe/Berlin",
    }


def test_time_window_when_narrowed_in_one_zone():
    one = hours(entry("mon tue wed", "09:00", "17:00"))
    other = hours(entry("tue", "22:00", "10:00"), entry("mon", "16:00", "20:00"))
    assert one.narrowed(other) == hours(
        entry("mon", "16:00", "17:00"), entry("wed", "09:00", "10:00")
    )


def test_time_window_when_narrowed_in_two_zones():
    berlin, tokyo = hours(OFFICE), hours(OFFICE, zone="Asia/Tokyo")

    both = berlin.narrowed(tokyo)

    assert both == tokyo.narrowed(berlin)
    assert both.as_json() == {
        "type": "time_window",
        "weekly": [OFFICE],
        "time_zone": "Asia/Tokyo",
        "and": [{"weekly": [OFFICE], "time_zone": "Europe/Berlin"}],
    }
    assert TimeWindow.parse(both.as_json()) == both
    both_closed = (local(2, 7), local(2, 10))
    assert not any(permits(both, now) for now in both_closed)


def test_time_window_when_and_has_the_same_zone():
    again = {"weekly": [entry("mon", "08:00", "10:00")], "time_zone": "Europe/Berlin"}
    constraint = window(weekly=[OFFICE], time_zone="Europe/Berlin", and_=[again])
    assert constraint == hours(entry("mon", "09:00", "10:00"))


def test_time_window_when_dates_are_narrowed():
    one = window(not_before=START, not_after="2026-03-01T00:00:00Z")
    other = window(not_before="2026-02-01T00:00:00Z")
    assert one.narrowed(other) == window(
        not_before="2026-02-01T00:00:00Z", not_after="2026-03-01T00:00:00Z"
    )
    assert hours(OFFICE).narrowed(other).not_before == other.not_before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (window(not_after=START), window(not_before=START)),
        (window(not_after=START), window(not_before="2026-03-01T00:00:00Z")),
        (hours(OFFICE), hours(entry("wed", "09:00", "17:00"))),
        (hours(OFFICE), hours(entry("mon", "17:00", "18:00"))),
    ],
)
def test_time_window_when_nothing_is_left(one, other):
    with pytest.raises(InvalidConstraint, match="time_window"):
        one.narrowed(other)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"time_zone": "UTC"},
        {"weekly": [OFFICE]},
        {"not_before": START, "time_zone": "UTC"},
        {"not_before": START, "and": [{"weekly": [OFFICE], "time_zone": "UTC"}]},
        {"not_before": None},
        {"not_before": 0},
        {"not_before": "2026-01-01"},
        {"not_before": "2026-01-01T00:00:00"},
        {"not_before": "2026-01-01 00:00:00Z"},
        {"not_before": "2026-02-30T00:00:00Z"},
        {"not_before": "2026-01-01T00:00:60Z"},
        {"not_before": "2026-01-01T00:00:00+99:00"},
        {"not_before": "0001-01-01T00:00:00+01:00"},
        {"not_before": "9999-12-31T23:59:59-01:00"},
        {"not_before": START, "not_after": START},
        {"not_before": START, "not_after": "2025-01-01T00:00:00Z"},
        {"not_before": START, "until": START},
    ],
)
def test_time_window_when_members_do_not_fit(members):
    with pytest.raises(InvalidConstraint, match="time_window"):
        TimeWindow.parse(members)


@pytest.mark.parametrize(
    "weekly",
    [
        [], {}, [[]], [{}], [OFFICE | {"days": []}], [OFFICE | {"days": "mon"}],
        [OFFICE | {"days": ["monday"]}], [OFFICE | {"days": ["Mon"]}],
        [OFFICE | {"days": [["mon"]]}], [OFFICE | {"days": [1]}], [OFFICE | {"from": "9:00"}],
        [OFFICE | {"from": "24:00"}], [OFFICE | {"from": 9}], [OFFICE | {"to": "24:01"}],
        [OFFICE | {"to": "12:60"}], [OFFICE | {"to": None}], [OFFICE | {"type": "time_window"}],
        [OFFICE] * 169,
    ],
)  # fmt: skip
def test_time_window_when_weekly_is_malformed(weekly):
    with pytest.raises(InvalidConstraint, match="time_window"):
        window(weekly=weekly, time_zone="UTC")


@pytest.mark.parametrize(
    "zone",
    [
        None, 1, [], "", "Europe", "Europe/Atlantis", "../x", "../../etc/passwd",
        "/etc/localtime", "Europe/../UTC", "Europe/Berlin/", "Europe//Berlin", "UTC\x00",
        "UTC\n", "localtime", "posix/UTC", "tzdata.zi", "\ud800", "A" * 5000, "A/" * 40,
    ],
)  # fmt: skip
def test_time_window_when_zone_is_unknown(zone):
    with pytest.raises(InvalidConstraint, match="time_zone"):
        window(weekly=[OFFICE], time_zone=zone)


@pytest.mark.parametrize(
    "further",
    [
        [],
        {},
        [None],
        [{"weekly": [OFFICE]}],
        [{"weekly": [OFFICE], "time_zone": "UTC", "and": []}],
        [{"weekly": [OFFICE], "time_zone": "UTC", "type": "time_window"}],
        [{"weekly": [OFFICE], "time_zone": "UTC"}] * 9,
    ],
)
def test_time_window_when_and_is_malformed(further):
    with pytest.raises(InvalidConstraint, match="time_window"):
        window(weekly=[OFFICE], time_zone="Europe/Berlin", and_=further)


def test_time_window_when_there_are_too_many_pieces():
    quarters = [
        entry(" ".join(WORKDAYS), f"{hour:02}:{start}", f"{hour:02}:{end}")
        for hour in range(24)
        for start, end in (("00", "10"), ("30", "40"))
    ]
    with pytest.raises(InvalidConstraint, match="more than 168 spans"):
        hours(*quarters)


def test_time_window_when_there_are_too_many_zones():
    zones = [f"Etc/GMT+{offset}" for offset in range(9)]
    constraint = hours(OFFICE, zone=zones[0])
    for zone in zones[1:8]:
        constraint = constraint.narrowed(hours(OFFICE, zone=zone))
    with pytest.raises(InvalidConstraint, match="more than 8 time zones"):
        constraint.narrowed(hours(OFFICE, zone=zones[8]))
    assert TimeWindow.parse(constraint.as_json()) == constraint


def test_time_window_when_described():
    constraint = window(
        not_before=START,
        not_after="2026-02-01T00:00:00Z",
        weekly=[OFFICE],
        time_zone="Europe/Berlin",
    )

    assert constraint.describe() == (
        "Only from 2026-01-01 00:00:00 UTC, until 2026-02-01 00:00:00 UTC,"
        " Mon, Tue 09:00-17:00 (Europe/Berlin)."
    )
    assert set(EnforcementPoint) == TimeWindow.ENFORCED_AT
