"""The shuffle of indices: nothing is lost, nothing meets, and nobody can tell the order."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.permutation import permutation

pytestmark = pytest.mark.any_database

KEY = bytes(range(32))
keys = st.binary(min_size=32, max_size=32)
tweaks = st.integers(0, 2**64 - 1)


@given(key=keys, tweak=tweaks, bits=st.sampled_from([2, 4, 6, 8, 10, 12]))
def test_permutation_when_the_domain_is_small(key, tweak, bits):
    shuffle = permutation(key, tweak, bits)
    assert sorted(map(shuffle, range(1 << bits))) == list(range(1 << bits))


def test_permutation_when_the_domain_is_a_list():
    shuffle = permutation(KEY, 7, 20)
    hit = bytearray(1 << 20)
    for index in shuffle.each(range(1 << 20)):
        hit[index] = 1
    assert all(hit)


@given(key=keys, tweak=tweaks, positions=st.lists(st.integers(0, 2**20 - 1), max_size=20))
def test_permutation_when_asked_for_many(key, tweak, positions):
    shuffle = permutation(key, tweak, 20)
    assert list(shuffle.each(positions)) == [shuffle(position) for position in positions]


@pytest.mark.conformance("SL-14")
def test_permutation_when_positions_follow_each_other():
    indices = [permutation(KEY, 0, 20)(position) for position in range(10_000)]
    steps = [after - before for before, after in pairwise(indices)]
    assert 4_000 < sum(step > 0 for step in steps) < 6_000
    # Of ten thousand steps of chance a few are short by chance
    assert sum(abs(step) < 100 for step in steps) < 10
    assert len(set(steps)) > 9_000


@pytest.mark.parametrize(("key", "tweak"), [(KEY, 1), (bytes(32), 0)], ids=["list", "key"])
def test_permutation_when_the_key_or_the_list_is_another(key, tweak):
    one, other = permutation(KEY, 0, 20), permutation(key, tweak, 20)
    # Two that are unrelated agree on one position in a million
    assert sum(one(position) == other(position) for position in range(10_000)) < 3


@pytest.mark.parametrize("position", [-1, 1 << 20, 1 << 40])
def test_permutation_when_the_position_is_outside(position):
    with pytest.raises(IndexError):
        permutation(KEY, 0, 20)(position)


@pytest.mark.parametrize("bits", [0, 3, 19, 34, -2])
def test_permutation_when_its_length_is_odd_or_too_large(bits):
    with pytest.raises(ValueError, match="odd or too large"):
        permutation(KEY, 0, bits)


def test_permutation_when_shown():
    assert repr(permutation(KEY, 0, 20)) == "Permutation(bits=20)"
