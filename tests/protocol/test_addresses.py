import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.requests.addresses import (
    Sender,
    client_address,
    parse_address,
    parse_network,
    sender_of,
)

pytestmark = pytest.mark.any_database

PROXIES = ("10.0.0.0/8", "::1/128")
SENDER = "198.51.100.7"

dg_10 = pytest.mark.conformance("DG-10")


@dg_10
@pytest.mark.parametrize("trusted", [(), PROXIES])
@pytest.mark.parametrize("header", ["203.0.113.9", "203.0.113.9, 10.0.0.1", "garbage", ",", SENDER])
def test_client_address_when_a_peer_that_is_not_trusted_forwards(trusted, header):
    assert client_address(SENDER, header, trusted) is None
    assert client_address(SENDER, "", trusted) == SENDER


@dg_10
@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("", "10.0.0.1"), ("  ", "10.0.0.1"), (SENDER, SENDER),
        (f"203.0.113.9, {SENDER}", SENDER), (f"10.9.9.9, {SENDER}, 10.0.0.2", SENDER),
        (f"garbage, {SENDER},10.0.0.2,\t::1", SENDER), ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.2", "10.0.0.2"),
    ],
)  # fmt: skip
def test_client_address_when_peer_is_trusted(header, address):
    assert client_address("10.0.0.1", header, PROXIES) == address


@dg_10
@pytest.mark.parametrize(
    "bad",
    [
        "garbage", "unknown", "_hidden", "", "1.2.3", "01.2.3.4", "1.2.3.4:", "1.2.3.4:99999",
        "1.2.3.4:x", "1.2.3.4%eth0", "[1.2.3.4]:80", "[::2", "::2]", "[::2]:", "[::2]80",
        "[[::2]]", '"1.2.3.4"', "1.2.3.4 5.6.7.8", "1.2.3.4\x00", "1.2.3.4\n", "for=1.2.3.4",
    ],
)  # fmt: skip
def test_client_address_when_an_entry_on_the_way_is_malformed(bad):
    assert client_address("10.0.0.1", f"{SENDER}, {bad}, 10.0.0.2", PROXIES) is None


@dg_10
@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("198.51.100.7:5678", SENDER), ("::ffff:198.51.100.7", SENDER),
        ("[::ffff:198.51.100.7]:80", SENDER), ("[2001:db8::1]:80", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"), ("2001:0DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"), ("[fe80::1%eth0]:443", "fe80::1"),
    ],
)  # fmt: skip
def test_client_address_when_written_in_many_ways(written, address):
    assert client_address("10.0.0.1", written, PROXIES) == address
    assert client_address(written, "", ()) == address


@dg_10
@pytest.mark.parametrize("peer", ["::ffff:10.0.0.1", "[::1]:4711", "10.0.0.1:4711", "::1%lo"])
def test_client_address_when_a_trusted_peer_is_written_otherwise(peer):
    assert client_address(peer, SENDER, PROXIES) == SENDER


@dg_10
@pytest.mark.parametrize("peer", ["", "unix:", "10.0.0.1, 10.0.0.2"])
def test_client_address_when_peer_is_no_address(peer):
    assert client_address(peer, SENDER, PROXIES) is None


@dg_10
def test_client_address_when_header_is_long():
    hops = [SENDER, *["10.0.0.2"] * 49]
    assert client_address("10.0.0.1", ",".join(hops), PROXIES) == SENDER
    assert client_address("10.0.0.1", ",".join(["10.0.0.2", *hops]), PROXIES) is None
    assert client_address("10.0.0.1", "," * 100_000, PROXIES) is None


@pytest.mark.parametrize("network", ["", "10.0.0.1/8", "proxy", "10.0.0.0/33", "*", "10.0.0.0/a"])
def test_client_address_when_a_trusted_network_is_malformed(network):
    with pytest.raises(ValueError):  # noqa: PT011 - the text is that of the standard library
        client_address(SENDER, "", [network])


ENTRY = st.sampled_from(["10.0.0.2", "::1", SENDER, "203.0.113.9:1", "x", ""]) | st.text(max_size=9)


@dg_10
@given(st.lists(ENTRY, max_size=5), st.lists(ENTRY, max_size=5))
def test_client_address_when_the_sender_writes_more(spoofed, other):
    own = f"{SENDER}, 10.0.0.2"
    for forged in (spoofed, other):
        assert client_address("10.0.0.1", ",".join([*forged, own]), PROXIES) == SENDER


@given(st.text(max_size=40), st.text(max_size=80))
def test_client_address_when_input_is_arbitrary(peer, header):
    address = client_address(peer, header, ["0.0.0.0/0", "::/0"])
    assert address is None or str(parse_address(address)) == address


@given(st.ip_addresses(), st.sampled_from([(), PROXIES, ("0.0.0.0/0", "::/0")]))
def test_client_address_when_header_is_empty(peer, trusted):
    assert client_address(str(peer), "", trusted) == str(parse_address(str(peer)))


def test_network_when_mapped():
    assert str(parse_network("::ffff:10.0.0.0/104")) == "10.0.0.0/8"
    assert str(parse_network("::ffff:10.0.0.1")) == "10.0.0.1/32"
    assert str(parse_network("::/0")) == "::/0"


SOCKET = ("unix",)


@dg_10
@pytest.mark.parametrize("peer", ["", "unix:", "unix:/run/app.sock"])
@pytest.mark.parametrize(
    ("trusted", "header", "address"),
    [
        ((), SENDER, None),
        (PROXIES, SENDER, None),
        (SOCKET, "", None),
        (SOCKET, SENDER, SENDER),
        (SOCKET, f"203.0.113.9, {SENDER}", SENDER),
        (SOCKET, f"{SENDER}, 10.0.0.2", "10.0.0.2"),
        ((*SOCKET, *PROXIES), f"203.0.113.9, {SENDER}, 10.0.0.2", SENDER),
        (SOCKET, "unknown", None),
        (SOCKET, "," * 60, None),
    ],
)
def test_client_address_when_the_peer_is_a_socket(peer, trusted, header, address):
    assert client_address(peer, header, trusted) == address


@pytest.mark.parametrize("peer", [SENDER, "localhost", "10.0.0.1, 10.0.0.2", "garbage"])
def test_client_address_when_only_the_socket_is_trusted(peer):
    assert client_address(peer, "203.0.113.9", SOCKET) is None


FORWARDED = "HTTP_X_FORWARDED_FOR"


@dg_10
@pytest.mark.parametrize(
    ("environ", "trusted", "sender"),
    [
        ({}, (), Sender(None, ("unix",))),
        ({"REMOTE_ADDR": None}, (), Sender(None, ("unix",))),
        ({"REMOTE_ADDR": SENDER}, (), Sender(SENDER)),
        ({"REMOTE_ADDR": SENDER, FORWARDED: ""}, (), Sender(SENDER)),
        (
            {"REMOTE_ADDR": "127.0.0.1", FORWARDED: f"a, {SENDER}"},
            (),
            Sender(None, ("127.0.0.1", f"127.0.0.1 {SENDER}")),
        ),
        ({"REMOTE_ADDR": "127.0.0.1", FORWARDED: f"a, {SENDER}"}, ("127.0.0.1",), Sender(SENDER)),
        ({FORWARDED: SENDER}, (), Sender(None, ("unix", f"unix {SENDER}"))),
        ({FORWARDED: SENDER}, SOCKET, Sender(SENDER)),
        # What a trusted proxy says counts, whatever else stands in the request
        (
            {"REMOTE_ADDR": "10.0.0.1", FORWARDED: SENDER, "HTTP_FORWARDED": "for=a"},
            PROXIES,
            Sender(SENDER),
        ),
        (
            {"REMOTE_ADDR": "10.0.0.1", FORWARDED: "x" * 100},
            PROXIES,
            Sender(None, ("10.0.0.1", f"10.0.0.1 {'x' * 64}")),
        ),
    ],
)
def test_sender_when_forwarded_or_not(environ, trusted, sender):
    assert sender_of(environ, trusted) == sender


@dg_10
@pytest.mark.parametrize("trusted", [(), PROXIES])
@pytest.mark.parametrize(
    "header",
    ["FORWARDED", "X_FORWARDED_PROTO", "X_FORWARDED_HOST", "X_FORWARDED_PORT", "X_FORWARDED_SSL",
     "X_FORWARDED_SCHEME", "X_REAL_IP"],
)  # fmt: skip
def test_sender_when_a_proxy_shows_and_names_no_address(trusted, header):
    environ = {"REMOTE_ADDR": "10.0.0.1", f"HTTP_{header}": "https"}
    assert sender_of(environ, trusted) == Sender(None, ("10.0.0.1",))


def test_sender_when_the_site_s_own_proxy_header_shows():
    environ = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_SCHEME": "https"}
    assert sender_of(environ, ()).address == "10.0.0.1"
    assert sender_of(environ, (), ("HTTP_X_SCHEME",)).address is None


@pytest.mark.parametrize("hop", ["1" * 101, "1:" * 400_000, "[" + "1:" * 60 + "]:80"])
def test_client_address_when_a_hop_is_longer_than_any_address(hop):
    assert client_address("10.0.0.1", hop, ["10.0.0.0/8"]) is None
