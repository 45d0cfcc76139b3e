import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.client.cache.token_cache import TokenCache, key_of
from delegation_app.client.tokens import Target, Tokens
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.scope import Scope
from tests.client.fakes import Time

pytestmark = pytest.mark.any_database


class Asked:
    def __init__(self, time, lasts):
        self.times = []
        self._time = time
        self._lasts = lasts

    def __call__(self):
        self.times.append(self._time())
        ends = None if self._lasts is None else self._time() + self._lasts
        return Tokens(f"token-{len(self.times)}", None, self._lasts, ends)


def first_renewal(lasts, jitter=0.0):
    """How many seconds into its life a token is asked for anew."""
    time = Time()
    cache = TokenCache(clock=time, now=time, jitter=lambda: jitter)
    asked = Asked(time, lasts)
    while len(asked.times) < 2:
        cache.get("key", asked)
        time.forward(0.5)
    return asked.times[1] - asked.times[0]


@pytest.mark.parametrize(
    ("lasts", "jitter", "after"),
    [
        (600, 0.0, 540),
        (600, 1.0, 525),
        (3600, 0.0, 3540),
        # Of a short life, no more than a quarter and a bit
        (240, 0.0, 180),
        (100, 0.0, 75),
        (100, 1.0, 69),
        (10, 0.0, 7.5),
        # However long it lasts, it is asked for within the hour
        (86400, 0.0, 3540),
    ],
)
def test_get_when_a_token_is_used_all_the_time(lasts, jitter, after):
    assert first_renewal(lasts, jitter) == after


def test_get_when_a_token_has_no_lifetime():
    time = Time()
    cache, asked = TokenCache(clock=time, now=time), Asked(time, None)
    assert [cache.get("key", asked).access_token for _ in range(2)] == ["token-1", "token-2"]
    assert len(cache) == 0


def test_get_when_the_machine_slept():
    clock, now = Time(), Time()
    cache, asked = TokenCache(clock=clock, now=now), Asked(now, 600)
    cache.get("key", asked)
    now.forward(600)
    assert cache.get("key", asked).access_token == "token-2"


def test_get_when_the_time_of_day_goes_back():
    clock, now = Time(), Time()
    cache, asked = TokenCache(clock=clock, now=now), Asked(now, 600)
    cache.get("key", asked)
    now.forward(-100_000)
    clock.forward(600)
    assert cache.get("key", asked).access_token == "token-2"


@pytest.mark.parametrize("lasts", [30, 600])
def test_get_when_what_is_behind_it_ends_first(lasts):
    time = Time()
    cache, asked = TokenCache(clock=time, now=time), Asked(time, lasts)
    ends = time() + 30
    used = []
    while time() < ends + 5:
        used.append(cache.get("key", asked, not_after=ends).access_token)
        time.forward(1)
        if time() == ends - 6:
            # Nothing newer would last longer, so nobody asks ahead of time
            assert len(asked.times) == 1
    # After the end each one asks for itself, and the server refuses
    assert used[-1] != used[-2] != used[-3]


def test_get_when_what_is_behind_it_has_ended():
    time = Time()
    cache, asked = TokenCache(clock=time, now=time), Asked(time, 600)
    cache.get("key", asked, not_after=time() - 1)
    assert len(cache) == 0


def test_forget_when_a_token_was_refused():
    time = Time()
    cache, asked = TokenCache(clock=time, now=time), Asked(time, 600)
    cache.get("key", asked)
    cache.forget("key", "token-0")
    assert cache.get("key", asked).access_token == "token-1"
    cache.forget("key", "token-1")
    assert cache.get("key", asked).access_token == "token-2"


text = st.text(alphabet="ab |:,;\x00\n'\"()%/", max_size=4)
keys = st.tuples(
    text,
    text,
    st.frozensets(text, max_size=3),
    st.none() | st.frozensets(text, max_size=3),
    st.none() | text,
)


def key(parts):
    issuer, client_id, audience, scope, subject = parts
    wanted = Target(Audience(audience), None if scope is None else Scope(scope))
    return key_of(issuer, client_id, wanted, subject)


@given(keys, keys)
def test_key_of_when_two_keys_are_equal(one, other):
    assert (key(one) == key(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a|b", "c", (), None, None), ("a", "b|c", (), None, None)),
        (("ab", "c", (), None, None), ("a", "bc", (), None, None)),
        (("i", "c", ("a", "b"), None, None), ("i", "c", ("a b",), None, None)),
        (("i", "c", (), ("a", "b"), None), ("i", "c", (), ("a b",), None)),
        (("i", "c", ("a",), None, None), ("i", "c", (), ("a",), None)),
        (("i", "c", (), None, None), ("i", "c", (), (), None)),
        (("i", "c", (), None, None), ("i", "c", (), None, "")),
    ],
)
def test_key_of_when_neighbours_could_run_together(one, other):
    assert key(one) != key(other)


def test_key_of_when_there_is_a_subject_token():
    assert "a subject token" not in repr(key_of("i", "c", Target.of(None, None), "a subject token"))
