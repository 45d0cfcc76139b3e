"""Constraints and accesses from small alphabets, so that two of them often meet."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import (
    REGISTRY,
    AccessContext,
    Constraints,
    EnforcementPoint,
)

URIS = ("https://a.example.com", "https://b.example.com", "urn:example:c")
NETWORKS = (
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.0.0.0/9",
    "10.128.0.0/9",
    "10.1.0.0/16",
    "192.0.2.1",
    "::/0",
    "2001:db8::/32",
    "::ffff:10.0.0.0/105",
)
ADDRESSES = ("10.1.2.3", "10.200.0.1", "::ffff:10.1.2.3", "2001:db8::1%eth0", "192.0.2.1", "x")
METHODS = ("*", "GET", "POST", "DELETE")
PREFIXES = ("/", "/a", "/a/", "/a/b", "/ab", "/c")
PATHS = ("/", "/a", "/a/", "/a/b/c", "/ab", "/c", "/d", "/a/../c", "")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS = ("00:00", "06:00", "09:30", "17:00", "23:59")
MONDAY = datetime(2026, 3, 23, tzinfo=UTC)


def some(values, most=3):
    return st.lists(st.sampled_from(values), min_size=1, max_size=most)


# The week in which Berlin's clocks change, and a bit around it.
INSTANTS = st.builds(lambda minutes: MONDAY + timedelta(minutes=minutes), st.integers(-1500, 12000))
DATES = st.integers(-10, 200).map(lambda hours: (MONDAY + timedelta(hours=hours)).isoformat())
ENTRY = st.fixed_dictionaries(
    {
        "days": some(DAYS, 7),
        "from": st.sampled_from(HOURS),
        "to": st.sampled_from((*HOURS, "24:00")),
    }
)
SCHEDULE = st.fixed_dictionaries(
    {"weekly": st.lists(ENTRY, min_size=1, max_size=3), "time_zone": st.sampled_from(ZONES)}
)
DATED = st.one_of(
    st.just({}),
    DATES.map(lambda date: {"not_before": date}),
    DATES.map(lambda date: {"not_after": date}),
    st.lists(DATES, min_size=2, max_size=2, unique=True).map(
        lambda dates: dict(zip(("not_before", "not_after"), sorted(dates), strict=True))
    ),
)
TIME_WINDOW = st.builds(lambda dates, hours: dates | hours, DATED, st.just({}) | SCHEDULE).filter(
    bool
)

# The members of each type, without `type`.
MEMBERS = {
    "ip_range": st.fixed_dictionaries({"networks": some(NETWORKS)}),
    "max_depth": st.fixed_dictionaries({"depth": st.integers(0, 3)}),
    "max_uses": st.fixed_dictionaries({"uses": st.integers(1, 4)}),
    "resource_path": st.fixed_dictionaries(
        {
            "rules": st.lists(
                st.fixed_dictionaries({"methods": some(METHODS), "prefixes": some(PREFIXES)}),
                min_size=1,
                max_size=3,
            )
        }
    ),
    "resource_servers": st.fixed_dictionaries({"identifiers": some(URIS)}),
    "time_window": TIME_WINDOW,
}

CONSTRAINT = {kind: members.map(REGISTRY[kind].parse) for kind, members in MEMBERS.items()}
COLLECTION = st.builds(
    Constraints,
    st.lists(st.sampled_from(sorted(CONSTRAINT)), unique=True, max_size=4).flatmap(
        lambda kinds: st.tuples(*(CONSTRAINT[kind] for kind in kinds))
    ),
)
ACCESS = st.builds(
    AccessContext,
    st.sampled_from(EnforcementPoint),
    INSTANTS,
    ip=st.none() | st.sampled_from(ADDRESSES),
    method=st.none() | st.sampled_from(("GET", "POST", "PATCH", "*", "")),
    path=st.none() | st.sampled_from(PATHS),
    audience=st.none() | st.builds(Audience, st.lists(st.sampled_from(URIS), max_size=2)),
    uses=st.none() | st.integers(0, 5),
)
ACCESSES = st.lists(ACCESS, min_size=1, max_size=10)
