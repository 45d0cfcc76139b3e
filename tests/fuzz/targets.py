"""What junk is thrown at. None may raise an exception that is not ours, whatever comes."""

import contextlib

from hypothesis import strategies as st

from delegation_app.client.http.transport import Response
from delegation_app.protocol.errors import InvalidToken, OutsideLimits, TemporarilyUnavailable
from delegation_app.protocol.status_list import InvalidStatusList, StatusList
from delegation_app.protocol.verified_token import Call
from delegation_app.resource_server.verifiers.keys import read_keys
from tests.fuzz import junk
from tests.resource_server.issuer import LIST, Issuer

OURS = (InvalidToken, OutsideLimits, TemporarilyUnavailable)
calls = st.builds(
    Call,
    ip=st.none() | st.text(max_size=20) | st.sampled_from(["192.0.2.7", "::1", "1" * 400]),
    method=st.none() | st.text(max_size=8),
    path=st.none() | st.text(max_size=40),
)

_verifier = Issuer().verifier(cache_size=50)


def verify_a_token(token, call):
    """Present it to a verifier that has keys and a list."""
    with contextlib.suppress(OURS):
        _verifier.verify(token, call)


def read_a_status_list(body):
    """Let the verifier find it where a status list should be."""
    issuer = Issuer(answers={LIST: Response(200, {}, body)})
    with contextlib.suppress(OURS):
        issuer.verifier().verify(issuer.token())


def unpack_a_status_list(members):
    """Read the value of the claim, and every kind of index in it."""
    with contextlib.suppress(InvalidStatusList):
        statuses = StatusList.parse(members)
        for index in (0, len(statuses) - 1, len(statuses), 2**31, 2**63):
            with contextlib.suppress(IndexError):
                assert 0 <= statuses[index] < 256


def read_published_keys(body):
    """Read it where keys should be."""
    with contextlib.suppress(ValueError):
        read_keys(body)


TARGETS = {
    verify_a_token: (junk.tokens, calls),
    read_a_status_list: (junk.list_bodies,),
    unpack_a_status_list: (junk.lists,),
    read_published_keys: (junk.key_bodies,),
}
