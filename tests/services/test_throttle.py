"""Failures are counted before they are judged, by callers of whom no one can be many."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace

import pytest
from django.core.cache import cache

from delegation_app.protocol.errors import TooManyAttempts
from delegation_app.services import caching
from delegation_app.services.clients import throttle
from delegation_app.services.clients.throttle import Budget, attempt, of_addresses, of_client

CROWD = 60


class BrokenCache:
    def _fail(self, *_args, **_kwargs):
        raise ConnectionError

    get = add = incr = _fail


@pytest.fixture
def minute(monkeypatch):
    """A minute that does not end."""
    frozen = SimpleNamespace(now=1_800_000_000.0)
    monkeypatch.setattr(throttle, "time", SimpleNamespace(time=lambda: frozen.now))
    return frozen


@pytest.mark.parametrize("secret", ["right", "wrong"])
def test_token_when_the_cache_is_down_then_answered_all_the_same(story, monkeypatch, secret):
    monkeypatch.setattr(caching, "caches", {"default": BrokenCache()})
    if secret == "wrong":
        story.world.cron.secret = "wrong"

    assert story.client_credentials().status_code == (200 if secret == "right" else 401)


def judged(*budgets, failed=True, error=None):
    """Make one try; return whether it was judged."""
    try:
        with attempt(*budgets, refusal="Wait.") as made:
            made.failed = failed
            if error:
                raise error
    except TooManyAttempts:
        return False
    except ValueError:
        pass
    return True


def test_attempt_when_tries_fail_then_as_many_as_the_limit_are_judged(minute):
    one, other = Budget("one", 3), Budget("other", 3)
    assert [judged(one) for _ in range(5)] == [True] * 3 + [False] * 2
    assert judged(other)
    minute.now += 60
    assert judged(one)


def test_attempt_when_tries_succeed_or_break_then_they_do_not_count(minute):
    one = Budget("one", 1)
    for _ in range(5):
        assert judged(one, failed=False)
        assert judged(one, failed=False, error=ValueError())
    assert judged(one)
    assert not judged(one, failed=False)


def test_attempt_when_one_budget_refuses_then_the_others_are_given_back(minute):
    wide, narrow = Budget("wide", 3), Budget("narrow", 1)
    assert [judged(wide, narrow) for _ in range(9)] == [True] + [False] * 8
    assert [judged(wide) for _ in range(3)] == [True, True, False]


def test_attempt_when_refused_by_the_first_budget_then_no_key_is_made_for_the_next(minute):
    assert judged(Budget("address", 1))
    for number in range(50):
        assert not judged(Budget("address", 1), Budget(f"name {number}", 1))
    assert len(cache._cache) == 1


def test_attempt_when_its_count_was_evicted_then_none_starts_below_zero(minute):
    one = Budget("one", 1)
    with attempt(one, refusal="Wait."):
        cache.clear()
    assert [judged(one) for _ in range(2)] == [True, False]


def test_attempt_when_sixty_are_side_by_side_then_the_limit_holds(minute):
    start = Barrier(CROWD)

    def rush(_number):
        start.wait(timeout=60)
        try:
            with attempt(Budget("address", 30), Budget("one", 10), refusal="Wait.") as made:
                time.sleep(0.05)
                made.failed = True
        except TooManyAttempts:
            return False
        return True

    with ThreadPoolExecutor(CROWD) as pool:
        assert sum(pool.map(rush, range(CROWD))) <= 10


# Who is counted as whom


def names(budgets):
    return {budget.caller for budget in budgets}


def test_addresses_when_they_are_of_one_ipv6_network_then_they_are_one_caller():
    one, same, next_to_it = (
        names(of_addresses(ip, (), 5))
        for ip in ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1")
    )
    assert one == same != next_to_it
    assert names(of_addresses("192.0.2.1", (), 5)) != names(of_addresses("192.0.2.2", (), 5))


def test_addresses_when_a_caller_from_elsewhere_brings_the_headers_then_it_gains_nothing():
    for said in ("203.0.113.9", "203.0.113.10", "x"):
        via = ("198.51.100.7", f"198.51.100.7 {said}")
        assert of_addresses(None, via, 5) == of_addresses("198.51.100.7", (), 5)


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", "192.168.0.1", "::1", "fd00::1", "unix"])
def test_addresses_when_a_proxy_was_not_named_then_each_behind_it_has_its_own_budget(peer):
    one, other = (of_addresses(None, (peer, f"{peer} {said}"), 5) for said in ("a", "b"))
    assert one[0] == other[0] == Budget(f"peer {peer}", 15)
    assert one[1] != other[1]
    assert one[1].most == other[1].most == 5
    assert of_addresses(None, (peer,), 5) == [one[0]]


def test_addresses_when_nothing_at_all_is_known_then_there_is_a_budget_all_the_same():
    assert [budget.most for budget in of_addresses(None, (), 5)] == [15]


def test_clients_when_names_could_be_confused_then_no_two_share_a_budget():
    ips = ("192.0.2.1", "192.0.2.11")
    callers = [
        names(of_client(client_id, ip, (), known=True)[1:])
        for client_id in ("a", "a address 192.0.2.1", "1:a", "a1", "")
        for ip in ips
    ]
    for number, one in enumerate(callers):
        for other in callers[number + 1 :]:
            # The last budget is that of the client from all addresses
            assert len(one & other) <= 1


def test_client_when_it_does_not_exist_then_it_has_no_budget_beyond_its_address():
    known = of_client("cron", "192.0.2.1", (), known=True)
    unknown = of_client("cron", "192.0.2.1", (), known=False)
    assert unknown == known[:2]
    assert [budget.most for budget in known] == [30, 10, 100]


def test_allowance_when_it_is_spent_then_the_next_minute_has_a_new_one(minute):
    allowance = throttle.Allowance()
    assert [allowance.spend(2) for _ in range(3)] == [True, True, False]
    minute.now += 60
    assert allowance.spend(2)
    allowance.renew()
    assert [allowance.spend(1) for _ in range(2)] == [True, False]
