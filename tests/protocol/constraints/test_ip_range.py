from datetime import UTC, datetime

import pytest

from delegation_app.protocol.constraints import AccessContext, EnforcementPoint, InvalidConstraint
from delegation_app.protocol.constraints.ip_range import IpRange

pytestmark = [pytest.mark.conformance("DG-10"), pytest.mark.any_database]


def networks(*texts):
    return IpRange.parse({"networks": list(texts)})


def refusal(constraint, ip):
    return constraint.refusal(
        AccessContext(EnforcementPoint.ISSUE, datetime(2026, 1, 1, tzinfo=UTC), ip=ip)
    )


def test_ip_range_when_parsed():
    constraint = networks(
        "2001:db8::/32", "10.128.0.0/9", "10.0.0.0/9", "10.1.0.0/16", "192.0.2.7", "2001:DB8:1::/48"
    )
    assert constraint.as_json() == {
        "type": "ip_range",
        "networks": ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"],
    }


@pytest.mark.parametrize(
    "ip",
    ["10.0.0.0", "10.255.255.255", "::ffff:10.0.0.1", "::ffff:a00:1", "fe80::1", "fe80::1%eth0"],
)
def test_ip_range_when_address_is_inside(ip):
    assert refusal(networks("10.0.0.0/8", "fe80::/10"), ip) is None


@pytest.mark.parametrize("ip", ["11.0.0.0", "9.255.255.255", "::10.0.0.1", "::1"])
def test_ip_range_when_address_is_outside(ip):
    assert refusal(networks("10.0.0.0/8"), ip) == "It may not be used from this address."


@pytest.mark.parametrize("ip", [None, "", "10.1", "010.0.0.1", "10.0.0.1, "])
def test_ip_range_when_address_is_unknown(ip):
    for allowed in ("10.0.0.0/8", "0.0.0.0/0", "::/0"):
        text = refusal(networks(allowed), ip)
        assert "address of this request is unknown" in text
        assert "TRUSTED_PROXIES" in text


def test_ip_range_when_network_is_mapped():
    assert networks("::ffff:10.0.0.0/104") == networks("10.0.0.0/8")
    assert refusal(networks("::/0"), "10.0.0.1") is not None
    assert refusal(networks("0.0.0.0/0"), "::1") is not None


def test_ip_range_when_narrowed():
    wide = networks("10.0.0.0/8", "2001:db8::/32", "192.0.2.0/24")
    other = networks("10.1.0.0/16", "10.2.0.0/16", "2001::/16", "198.51.100.0/24")
    assert wide.narrowed(other) == networks("10.1.0.0/16", "10.2.0.0/16", "2001:db8::/32")


@pytest.mark.parametrize("other", ["192.0.2.0/24", "::/0"])
def test_ip_range_when_nothing_is_left(other):
    with pytest.raises(InvalidConstraint, match="no network would be left"):
        networks("10.0.0.0/8").narrowed(networks(other))


def test_ip_range_when_too_many_would_be_left():
    one = networks("10.0.0.0/8", *(f"11.0.{third}.0/24" for third in range(0, 198, 2)))
    other = networks("11.0.0.0/8", *(f"10.0.{third}.0/24" for third in range(0, 198, 2)))
    with pytest.raises(InvalidConstraint, match="more than 100 networks"):
        one.narrowed(other)


@pytest.mark.parametrize(
    "value",
    [
        [],
        "10.0.0.0/8",
        None,
        [None],
        [10],
        ["10.0.0.1/8"],
        ["2001:db8::1/32"],
        ["10.0.0.0/33"],
        ["::/129"],
        ["10.0.0.0/-1"],
        ["10.0.0.0/255.0.0.0"],
        ["10.0.0.0/0.255.255.255"],
        ["fe80::%eth0/64"],
        ["10.0.0.0/"],
        ["10.0.0.0 /8"],
        ["10/8"],
        ["1"],
        [""],
        ["*"],
        ["１0.0.0.0/8"],  # noqa: RUF001 - a digit of another alphabet
        ["10.0.0.0/8", "x"],
        ["10.0.0.0/8"] * 101,
    ],
)
def test_ip_range_when_malformed(value):
    with pytest.raises(InvalidConstraint, match="ip_range"):
        IpRange.parse({"networks": value})


def test_ip_range_when_introspected():
    assert set(EnforcementPoint) - {EnforcementPoint.INTROSPECTION} == IpRange.ENFORCED_AT
    assert networks("10.0.0.0/8", "::1").describe() == "Only from 10.0.0.0/8 or ::1/128."
