"""Status lists as values: the vectors of the draft, and what must not be taken for one."""

import base64
import gzip
import json
import zlib
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol import jose, names
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.permutation import permutation
from delegation_app.protocol.status_list import (
    INVALID,
    MAX_BYTES,
    SUSPENDED,
    VALID,
    InvalidStatusList,
    StatusList,
    StatusReference,
)

pytestmark = pytest.mark.any_database

SIZE = 1 << 20

# The draft's own test vectors: the bits, the statuses other than 0, and `lst`
V1 = 1, [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1], "eNrbuRgAAhcBXQ"
V2 = 2, [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3], "eNo76fITAAPfAgc"
V3_MARKED = 0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345
V3 = (
    "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA"
    "7KpLAAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb"
)
V4_MARKED = dict(zip(V3_MARKED, (1, 2, 1, 3, 1, 1, 2, 1, 1, 2, 3), strict=True))
V4 = (
    "eNrt2zENACEQAEEuoaBABP5VIO01fCjIHTMStt9ovGVIAAAAAABAbiEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAEB5WwIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAID0ugQAAAAAAAAAAAAAAAAAQG12SgAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AOCSIQEAAAAAAAAAAAAAAAAAAAAAAAD8ExIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwJEuAQAAAAAA"
    "AAAAAAAAAAAAAAAAAMB9SwIAAAAAAAAAAAAAAAAAAACoYUoAAAAAAAAAAAAAAEBqH81gAQw"
)
V5_MARKED = {
    0: 1, 1993: 2, 35460: 3, 459495: 4, 595669: 5, 754353: 6, 845645: 7, 923232: 8, 924445: 9,
    934534: 10, 1004534: 11, 1000345: 12, 1030203: 13, 1030204: 14, 1030205: 15,
}  # fmt: skip
V5 = (
    "eNrt0EENgDAQADAIHwImkIIEJEwCUpCEBBQRHOy35Li1EjoOQGabAgAAAAAAAAAAAAAAAAAAACC1SQEAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABA"
    "DrsCAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AADoxaEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAIIoCgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACArpwK"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAGhqVkAzlwIAAAAAiGVRAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAABx3AoAgLpVAQAAAAAAAAAAAAAAwM89rwMAAAAAAAAAAAjsA9xMBMA"
)
V6 = (
    "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEyIiwidHlwIjoic3RhdHVzbGlzdCtqd3QifQ.eyJleHAiOjIyOTE3MjAxN"
    "zAsImlhdCI6MTY4NjkyMDE3MCwiaXNzIjoiaHR0cHM6Ly9leGFtcGxlLmNvbSIsInN0YXR1c19saXN0Ijp7ImJpd"
    "HMiOjEsImxzdCI6ImVOcmJ1UmdBQWhjQlhRIn0sInN1YiI6Imh0dHBzOi8vZXhhbXBsZS5jb20vc3RhdHVzbGlzd"
    "HMvMSIsInR0bCI6NDMyMDB9.2lKUUNG503R9htu4aHAYi7vjmr3sgApbfoDvPrl65N3URUO1EYqqQl45Jfzd-"
    "Av4QzlKa3oVALpLwOEUOq-U_g"
)
V6_KEY = {
    "kty": "EC",
    "crv": "P-256",
    "alg": "ES256",
    "kid": "12",
    "x": "I3HWm_0Ds1dPMI-IWmf4mBmH-YaeAVbPVu7vB27CxXo",
    "y": "6N_d5Elj9bs1htgV3okJKIdbHEpkgTmAluYKJemzn1M",
}


@pytest.mark.conformance("SL-03")
@pytest.mark.parametrize(("bits", "statuses", "lst"), [V1, V2], ids=["V1", "V2"])
def test_vector_when_it_is_short(bits, statuses, lst):
    read = StatusList.parse({"bits": bits, "lst": lst})
    assert [read[index] for index in range(len(read))] == statuses
    # How it is compressed depends on the zlib that is installed, what is in it does not
    written = StatusList.of(statuses, bits=bits)
    assert written == read
    assert StatusList.parse(written.as_json()) == read


@pytest.mark.conformance("SL-03")
@pytest.mark.parametrize(
    ("bits", "marked", "lst"),
    [(1, dict.fromkeys(V3_MARKED, 1), V3), (2, V4_MARKED, V4), (4, V5_MARKED, V5)],
    ids=["V3", "V4", "V5"],
)
def test_vector_when_it_has_a_million_entries(bits, marked, lst):
    read = StatusList.parse({"bits": bits, "lst": lst})
    assert len(read) == SIZE
    assert {index: read[index] for index in marked} == marked
    statuses = bytearray(SIZE)
    for index, status in marked.items():
        statuses[index] = status
    assert StatusList.of(statuses, bits=bits) == read


@pytest.mark.conformance("SL-06")
def test_vector_when_it_is_signed():
    key = jose.VerificationKey.of(V6_KEY)
    claims = jose.verify(
        V6, {"12": key}.get, typ=names.STATUS_LIST_TYP, issuer="https://example.com", now=1686920170
    )
    assert (claims["sub"], claims["ttl"]) == ("https://example.com/statuslists/1", 43200)
    assert StatusList.parse(claims["status_list"]) == StatusList.of(V1[1], bits=1)


@pytest.mark.conformance("SL-04", "SL-05")
@pytest.mark.parametrize("marked", [0, 1, 100, 10_000, 100_000, SIZE])
def test_list_when_written(marked):
    shuffle = permutation(bytes(32), 0, 20)
    made = StatusList.marking(SIZE, shuffle.each(range(marked)))
    members = made.as_json()
    assert members.keys() == {"bits", "lst"}
    text = members["lst"]
    assert not set(text) & set("=+/\n ")
    deflated = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # RFC 1950: deflate with a window of 32 KiB
    assert deflated[0] == 0x78
    assert zlib.decompress(deflated) == made.packed
    # As short as it gets, or nearly
    assert len(deflated) <= 1.1 * len(zlib.compress(made.packed, 9)) + 100


@pytest.mark.conformance("SL-03")
@given(marked=st.sets(st.integers(0, 4095)))
def test_marking_when_some_are_marked(marked):
    made = StatusList.marking(4096, marked)
    assert {index for index in range(4096) if made[index]} == marked
    assert {made[index] for index in marked} <= {INVALID}
    for index in marked:
        assert made.packed[index // 8] >> index % 8 & 1


@pytest.mark.conformance("SL-12")
def test_statuses_when_named():
    assert (VALID, INVALID, SUSPENDED) == (0, 1, 2)


@given(data=st.data(), bits=st.sampled_from([1, 2, 4, 8]))
def test_list_when_written_and_read(data, bits):
    statuses = data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=100))
    read = StatusList.parse(json.loads(json.dumps(StatusList.of(statuses, bits=bits).as_json())))
    assert [read[index] for index in range(len(statuses))] == statuses
    # What fills the last byte says nothing
    assert {read[index] for index in range(len(statuses), len(read))} <= {VALID}


@pytest.mark.conformance("SL-02")
@pytest.mark.parametrize("bits", [0, 3, 5, 16, -1, 1.0, True, "1", None])
def test_list_when_its_bits_are_others(bits):
    with pytest.raises(InvalidStatusList):
        StatusList.parse({"bits": bits, "lst": V1[2]})
    if type(bits) is int:
        with pytest.raises(InvalidStatusList):
            StatusList.of([0], bits=bits)


@pytest.mark.parametrize("status", [-1, 2, 255])
def test_list_when_a_status_does_not_fit(status):
    with pytest.raises(InvalidStatusList):
        StatusList.of([0, status], bits=1)


@pytest.mark.parametrize("index", [-1, 16, 1 << 31, 1 << 64])
def test_list_when_the_index_is_outside(index):
    read = StatusList.parse({"bits": 1, "lst": V1[2]})
    with pytest.raises(IndexError):
        read[index]


def text_of(deflated):
    return base64.urlsafe_b64encode(deflated).rstrip(b"=").decode()


def raw_deflate(data):
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(data) + packing.flush()


GOOD = zlib.compress(b"\xb9\xa3", 9)


@pytest.mark.conformance("SL-04", "SL-05")
@pytest.mark.parametrize(
    "lst",
    [
        V1[2] + "=", V1[2] + "==", V1[2][:-1] + "+", V1[2][:5] + "/" + V1[2][6:], V1[2] + "\n",
        " " + V1[2], V1[2] + "A", V1[2][:5] + "é" + V1[2][6:], V1[2][:5] + "\0" + V1[2][6:], "",
        "A", text_of(raw_deflate(b"\xb9\xa3")), text_of(gzip.compress(b"\xb9\xa3", mtime=0)),
        text_of(b"\xb9\xa3"), text_of(GOOD[:-1]), text_of(GOOD[:-4]), text_of(GOOD[:-1] + b"\0"),
        text_of(GOOD + b"\0"), text_of(GOOD + GOOD), None, 7, b"eNrbuRgAAhcBXQ",
        ["eNrbuRgAAhcBXQ"],
    ],
)  # fmt: skip
def test_list_when_it_is_not_the_one_spelling(lst):
    with pytest.raises(InvalidStatusList):
        StatusList.parse({"bits": 1, "lst": lst})


@pytest.mark.parametrize("members", [None, [], "eNrbuRgAAhcBXQ", 1, {}, {"bits": 1}, {"lst": ""}])
def test_list_when_members_are_missing(members):
    with pytest.raises(InvalidStatusList):
        StatusList.parse(members)


@pytest.mark.parametrize("size", [MAX_BYTES + 1, 256 * MAX_BYTES])
def test_list_when_it_is_a_bomb(size, monkeypatch):
    packing, bomb = zlib.compressobj(9), b""
    for _ in range(size // MAX_BYTES):
        bomb += packing.compress(bytes(MAX_BYTES))
    bomb += packing.compress(b"\0") + packing.flush()
    taken = []

    class Watched:
        def __init__(self):
            self.real = zlib.decompressobj()

        def decompress(self, data, most):
            taken.append(self.real.decompress(data, most))
            return taken[-1]

        def __getattr__(self, name):
            return getattr(self.real, name)

    watched = SimpleNamespace(decompressobj=Watched, error=zlib.error)
    monkeypatch.setattr("delegation_app.protocol.status_list.zlib", watched)
    with pytest.raises(InvalidStatusList, match="too long"):
        StatusList.parse({"bits": 1, "lst": text_of(bomb)})
    assert sum(map(len, taken)) <= MAX_BYTES + 1


def test_list_when_it_is_as_long_as_allowed():
    members = StatusList(1, bytes(64)).as_json()
    assert len(StatusList.parse(members, max_bytes=64)) == 512
    with pytest.raises(InvalidStatusList):
        StatusList.parse(members, max_bytes=63)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
json_like = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@given(
    members=json_like
    | st.fixed_dictionaries({"bits": st.sampled_from([1, 2, 4, 8]) | json_like, "lst": json_like})
    | st.fixed_dictionaries(
        {"bits": st.sampled_from([1, 2, 4, 8]), "lst": st.binary(max_size=64).map(text_of)}
    )
)
def test_list_when_it_is_junk(members):
    try:
        read = StatusList.parse(members)
    except InvalidStatusList:
        return
    # It was none after all
    assert StatusList.parse(read.as_json()) == read


# Where a token's status stands


@pytest.mark.conformance("SL-01")
def test_reference_when_written_and_read():
    reference = StatusReference("https://as.example.com/oauth/status/7", 12)
    claim = reference.claim()
    assert claim == {"status_list": {"idx": 12, "uri": "https://as.example.com/oauth/status/7"}}
    assert StatusReference.of({"status": claim}) == reference
    assert StatusReference.of({}) is None


@pytest.mark.conformance("SL-01")
@pytest.mark.parametrize(
    "status",
    [
        0,
        "valid",
        [],
        {},
        {"status_list": None},
        {"status_list": []},
        {"status_list": {"idx": 1}},
        {"status_list": {"uri": "https://a.example"}},
        {"status_list": {"idx": -1, "uri": "https://a.example"}},
        {"status_list": {"idx": True, "uri": "https://a.example"}},
        {"status_list": {"idx": 1.0, "uri": "https://a.example"}},
        {"status_list": {"idx": "1", "uri": "https://a.example"}},
        {"status_list": {"idx": 1, "uri": None}},
    ],
)
def test_reference_when_malformed(status):
    with pytest.raises(InvalidToken):
        StatusReference.of({"status": status})


@given(status=json_like.filter(lambda value: value is not None))
def test_reference_when_it_is_junk(status):
    with pytest.raises(InvalidToken):
        StatusReference.of({"status": status})
