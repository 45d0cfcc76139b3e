import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.addresses import client_address, parse_address, parse_network

PROXIES = ("10.0.0.0/8", "::1/128")
SENDER = "198.51.100.7"

dg_10 = pytest.mark.conformance("DG-10")


@dg_10
@pytest.mark.parametrize("trusted", [(), PROXIES])
@pytest.mark.parametrize("header", ["", "203.0.113.9", "203.0.113.9, 10.0.0.1", "garbage"])
def test_client_address_when_peer_is_not_trusted_then_header_is_ignored(trusted, header):
    assert client_address(SENDER, header, trusted) == SENDER


@dg_10
@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("", "10.0.0.1"),
        ("  ", "10.0.0.1"),
        (SENDER, SENDER),
        (f"203.0.113.9, {SENDER}", SENDER),
        (f"10.9.9.9, {SENDER}, 10.0.0.2", SENDER),
        (f"garbage, {SENDER},10.0.0.2,\t::1", SENDER),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.2", "10.0.0.2"),
    ],
)
def test_client_address_when_peer_is_trusted_then_the_last_that_is_not(header, address):
    assert client_address("10.0.0.1", header, PROXIES) == address


@dg_10
@pytest.mark.parametrize(
    "bad",
    [
        "garbage",
        "unknown",
        "_hidden",
        "",
        "1.2.3",
        "01.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:99999",
        "1.2.3.4:x",
        "1.2.3.4%eth0",
        "[1.2.3.4]:80",
        "[::2",
        "::2]",
        "[::2]:",
        "[::2]80",
        "[[::2]]",
        '"1.2.3.4"',
        "1.2.3.4 5.6.7.8",
        "1.2.3.4\x00",
        "1.2.3.4\n",
        "for=1.2.3.4",
    ],
)
def test_client_address_when_an_entry_on_the_way_is_malformed_then_unknown(bad):
    assert client_address("10.0.0.1", f"{SENDER}, {bad}, 10.0.0.2", PROXIES) is None


@dg_10
@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("198.51.100.7:5678", SENDER),
        ("::ffff:198.51.100.7", SENDER),
        ("[::ffff:198.51.100.7]:80", SENDER),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:0DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%eth0]:443", "fe80::1"),
    ],
)
def test_client_address_when_written_in_many_ways_then_canonical(written, address):
    assert client_address("10.0.0.1", written, PROXIES) == address
    assert client_address(written, "", ()) == address


@dg_10
@pytest.mark.parametrize("peer", ["::ffff:10.0.0.1", "[::1]:4711", "10.0.0.1:4711", "::1%lo"])
def test_client_address_when_a_trusted_peer_is_written_otherwise_then_still_trusted(peer):
    assert client_address(peer, SENDER, PROXIES) == SENDER


@dg_10
@pytest.mark.parametrize("peer", ["", "unix:", "10.0.0.1, 10.0.0.2"])
def test_client_address_when_peer_is_no_address_then_unknown(peer):
    assert client_address(peer, SENDER, PROXIES) is None


@dg_10
def test_client_address_when_header_is_long_then_unknown():
    hops = [SENDER, *["10.0.0.2"] * 49]

    assert client_address("10.0.0.1", ",".join(hops), PROXIES) == SENDER
    assert client_address("10.0.0.1", ",".join(["10.0.0.2", *hops]), PROXIES) is None
    assert client_address(SENDER, "," * 100_000, PROXIES) == SENDER


@pytest.mark.parametrize("network", ["", "10.0.0.1/8", "proxy", "10.0.0.0/33", "*", "10.0.0.0/a"])
def test_client_address_when_a_trusted_network_is_malformed_then_value_error(network):
    with pytest.raises(ValueError):  # noqa: PT011 - the text is that of the standard library
        client_address(SENDER, "", [network])


ENTRY = st.sampled_from(["10.0.0.2", "::1", SENDER, "203.0.113.9:1", "x", ""]) | st.text(max_size=9)


@dg_10
@given(st.lists(ENTRY, max_size=5), st.lists(ENTRY, max_size=5))
def test_client_address_when_the_sender_writes_more_then_nothing_changes(spoofed, other):
    own = f"{SENDER}, 10.0.0.2"

    for forged in (spoofed, other):
        assert client_address("10.0.0.1", ",".join([*forged, own]), PROXIES) == SENDER


@given(st.text(max_size=40), st.text(max_size=80))
def test_client_address_when_input_is_arbitrary_then_canonical_or_none(peer, header):
    address = client_address(peer, header, ["0.0.0.0/0", "::/0"])

    assert address is None or str(parse_address(address)) == address


@given(st.ip_addresses(), st.sampled_from([(), PROXIES, ("0.0.0.0/0", "::/0")]))
def test_client_address_when_header_is_empty_then_the_peer(peer, trusted):
    assert client_address(str(peer), "", trusted) == str(parse_address(str(peer)))


def test_network_when_mapped_then_ipv4():
    assert str(parse_network("::ffff:10.0.0.0/104")) == "10.0.0.0/8"
    assert str(parse_network("::ffff:10.0.0.1")) == "10.0.0.1/32"
    assert str(parse_network("::/0")) == "::/0"
