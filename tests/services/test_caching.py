"""A cache that is paused, slow or broken holds nothing up."""

import threading
import time

import pytest
from django.core.cache.backends.locmem import LocMemCache

from delegation_app.services import caching, signing_keys
from delegation_app.services.delegations import revocation
from delegation_app.services.status_lists import cache
from tests.support.statuses import reference
from tests.support.world import delegation_of

pytestmark = pytest.mark.any_database


class Paused:
    """A server that takes every call and never answers, until it goes on."""

    def __init__(self):
        self.going_on, self.calls = threading.Event(), 0

    def _call(self, *_args, **_kwargs):
        self.calls += 1
        self.going_on.wait(60)

    get = get_many = set = add = incr = _call


@pytest.fixture
def paused(monkeypatch):
    made = Paused()
    monkeypatch.setattr(caching, "caches", {"default": made})
    yield made
    made.going_on.set()


class Remote:
    """A server across the network, which works."""

    def __init__(self, answer=None):
        self.answer, self.threads, self.done = answer, set(), threading.Event()

    def _call(self, *_args, **_kwargs):
        self.threads.add(threading.current_thread().name)
        self.done.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    get = get_many = set = add = incr = _call


@pytest.fixture
def remote(monkeypatch):
    made = Remote()
    monkeypatch.setattr(caching, "caches", {"default": made})
    return made


def seconds(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


def test_use_when_the_cache_is_across_the_network_then_another_thread_waits_for_it(remote):
    remote.answer = 7
    assert caching.use(lambda cache: cache.get("key")) == 7
    assert remote.threads == {"delegation-cache"}


def test_use_when_the_cache_is_in_the_process_then_no_thread_is_needed(monkeypatch):
    local = LocMemCache("test_caching", {})
    monkeypatch.setattr(caching, "caches", {"default": local})
    assert caching.use(lambda _cache: threading.current_thread()) is threading.current_thread()
    caching.later(lambda cache: cache.set("key", 1))
    assert local.get("key") == 1


def test_use_when_the_cache_is_paused_then_one_call_waits_and_the_next_ones_do_not(paused):
    def ask():
        with pytest.raises(caching.CacheAway):
            caching.use(lambda cache: cache.get("key"))

    assert seconds(ask) < caching.LONGEST + 1
    assert seconds(lambda: [ask() for _ in range(1000)]) < 1
    assert paused.calls == 1


def test_use_when_the_cache_goes_on_then_it_is_used_again_after_a_rest(remote, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(caching.time, "monotonic", lambda: now[0])
    remote.answer = ConnectionError("away")
    with pytest.raises(caching.CacheAway):
        caching.use(lambda cache: cache.get("key"))
    remote.answer = 7
    now[0] += caching.REST - 0.1
    with pytest.raises(caching.CacheAway):
        caching.use(lambda cache: cache.get("key"))
    now[0] += 0.1
    assert caching.use(lambda cache: cache.get("key")) == 7


def test_use_when_the_cache_has_no_such_key_then_that_is_an_answer(remote):
    remote.answer = ValueError("Key 'x' not found")
    for _ in range(2):
        with pytest.raises(ValueError, match="not found"):
            caching.use(lambda cache: cache.incr("x"))


def test_later_when_the_cache_is_paused_then_nobody_waits_however_often(paused):
    assert seconds(lambda: [caching.later(lambda c: c.set("a", 1)) for _ in range(5000)]) < 1
    # A bounded number of threads hangs, and a bounded number of calls waits
    time.sleep(0.05)
    assert paused.calls <= 8


def test_later_when_the_cache_works_then_it_is_done(remote):
    caching.later(lambda cache: cache.set("key", 1))
    assert remote.done.wait(5)


def test_later_when_the_cache_fails_then_it_is_left_alone_and_nothing_is_raised(remote):
    remote.answer = ConnectionError("away")
    caching.later(lambda cache: cache.set("key", 1))
    assert remote.done.wait(5)
    deadline = time.monotonic() + 5
    while caching._guard.rests_until == float("-inf") and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(caching.CacheAway):
        caching.use(lambda cache: cache.get("key"))


def test_failures_when_they_go_on_then_one_line_a_minute_says_so(remote, caplog):
    remote.answer = ConnectionError("away")
    for _ in range(20):
        caching._guard.rests_until = float("-inf")
        with pytest.raises(caching.CacheAway):
            caching.use(lambda cache: cache.get("key"))
    assert len([r for r in caplog.records if "the cache failed" in r.getMessage()]) == 1


def test_process_when_it_was_forked_then_it_has_threads_of_its_own(remote):
    caching.use(lambda cache: cache.get("key"))
    before = caching._guard.workers
    # As registered with os.register_at_fork
    caching._guard.forget()
    assert caching._guard.workers is not before
    remote.answer = 7
    assert caching.use(lambda cache: cache.get("key")) == 7


# What the endpoints do meanwhile


@pytest.mark.django_db(transaction=True)
def test_endpoints_when_the_cache_is_paused_then_each_answers_in_time(story, paused):
    signing_keys.signer()
    caching.forget()
    code = story.code()
    tokens = story.redeem(code).json()
    wrong = {"grant_type": "client_credentials", "client_id": "cron", "client_secret": "wrong"}
    path = reference(tokens["access_token"])[0]
    requests = {
        "wrong secret": (401, lambda: story.post("/oauth/token", wrong)),
        "refresh": (200, lambda: story.refresh(tokens["refresh_token"])),
        "introspect": (200, lambda: story.introspect(tokens["access_token"])),
        "status list": (200, lambda: story.wire.get(path)),
        "jwks": (200, lambda: story.wire.get("/oauth/jwks")),
        "revoke": (200, lambda: story.revoke(tokens["refresh_token"])),
    }
    for name, (expected, request) in requests.items():
        caching.forget()
        began = time.monotonic()
        assert request().status_code == expected, name
        # A wrong secret has up to three calls, of which the first one ends the others
        assert time.monotonic() - began < caching.LONGEST + 2, name
    assert not story.is_active(tokens["access_token"])


@pytest.mark.django_db(transaction=True)
def test_revocation_when_the_cache_is_paused_then_its_answer_waits_for_nothing(story, paused):
    tokens = story.tokens()
    caching.forget()
    row = delegation_of(tokens)
    before = cache._local.changed_at
    took = seconds(
        lambda: revocation.subtree(row, revocation.audit.RequestContext(), reason="test")
    )
    assert took < caching.LONGEST
    assert cache._local.changed_at > before
