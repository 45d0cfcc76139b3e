"""Junk in the shape of tokens, keys and status lists."""

import base64
import json
import zlib

from hypothesis import strategies as st
from jwt.algorithms import get_default_algorithms

from tests.resource_server.issuer import KEY, LIST, PUBLIC, Issuer

ISSUER = Issuer()
SIGNER = get_default_algorithms()["ES256"]
CONSTRAINTS = [
    "ip_range",
    "max_depth",
    "max_uses",
    "resource_path",
    "resource_servers",
    "time_window",
    "moon_phase",
]


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header, claims):
    """A token with exactly these parts, signed well."""
    message = f"{encoded(header)}.{encoded(claims)}"
    return f"{message}.{encoded(SIGNER.sign(message.encode(), KEY.key))}"


def as_bytes(value):
    return json.dumps(value).encode("utf-8", "surrogatepass")


numbers = st.integers() | st.floats() | st.sampled_from([2**31, 2**53, 2**63, -1, 1e308])
scalars = st.none() | st.booleans() | numbers | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
limits = st.lists(
    st.dictionaries(
        st.sampled_from(
            ["networks", "paths", "methods", "identifiers", "uses", "depth", "windows", "timezone"]
        )
        | st.text(max_size=5),
        values,
        max_size=4,
    ).flatmap(
        lambda members: st.sampled_from(CONSTRAINTS).map(lambda kind: {**members, "type": kind})
    ),
    max_size=3,
)


@st.composite
def changed(draw, members):
    """Some members replaced, left out or added."""
    result = dict(members)
    names = st.sampled_from(sorted(members)) | st.text(max_size=8)
    for name in draw(st.lists(names, max_size=4, unique=True)):
        if draw(st.booleans()):
            result[name] = draw(values)
        else:
            result.pop(name, None)
    return result


HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": PUBLIC["kid"]}
headers = changed(HEADER).map(as_bytes) | st.binary(max_size=40)
claims = st.one_of(
    changed(ISSUER.claims()).map(as_bytes),
    limits.map(lambda some: as_bytes(ISSUER.claims(constraints=some))),
    values.map(lambda some: as_bytes(ISSUER.claims(status=some))),
    values.map(lambda some: as_bytes(ISSUER.claims(act=some))),
    st.binary(max_size=60),
)


@st.composite
def bent(draw):
    """A good token with a few characters changed."""
    text = list(ISSUER.token())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(text) - 1))
        text[place : place + draw(st.integers(0, 2))] = draw(st.text(max_size=2))
    return "".join(text)


tokens = st.one_of(
    st.text(max_size=200),
    st.lists(st.binary(max_size=30).map(encoded), max_size=6).map(".".join),
    bent(),
    st.builds(signed, st.just(as_bytes(HEADER)), claims),
    st.builds(signed, headers, st.just(as_bytes(ISSUER.claims()))),
)

squeezed = st.binary(max_size=200).map(lambda raw: encoded(zlib.compress(raw)))
bombs = st.sampled_from([encoded(zlib.compress(bytes(mib * 2**20), 9)) for mib in (5, 50)])
lists = st.one_of(
    values,
    st.fixed_dictionaries(
        {
            "bits": st.sampled_from([1, 2, 4, 8]) | values,
            "lst": st.text(max_size=40) | squeezed | bombs | values,
        }
    ),
)
LIST_HEADER = {**HEADER, "typ": "statuslist+jwt"}
LIST_CLAIMS = {"iss": "https://as.example.com", "sub": LIST, "ttl": 5}
LIST_CLAIMS |= {name: ISSUER.claims()[name] for name in ("iat", "exp")}
list_bodies = st.one_of(
    st.binary(max_size=200),
    lists.map(
        lambda some: signed(
            as_bytes(LIST_HEADER), as_bytes({**LIST_CLAIMS, "status_list": some})
        ).encode()
    ),
    changed(LIST_CLAIMS).map(lambda some: signed(as_bytes(LIST_HEADER), as_bytes(some)).encode()),
)
key_bodies = st.one_of(
    st.binary(max_size=200),
    values.map(as_bytes),
    st.lists(changed(PUBLIC), max_size=4).map(lambda some: as_bytes({"keys": some})),
)
