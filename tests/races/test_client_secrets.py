"""The first requests of a client in a new process, and guesses, all at the same moment."""

import time
from functools import partial

import pytest
from django.core.cache import cache

from delegation_app import toolkit
from delegation_app.models import SecretDigest
from delegation_app.services.clients import authentication, throttle
from tests.support.world import App, Story

pytestmark = pytest.mark.race
RANDOM = "qD3vWm0ZkT-9xRb7Lf_uYc5HsJ2nPa8EwGtXo4iVdQM"


@pytest.fixture(autouse=True)
def _one_minute(monkeypatch):
    monkeypatch.setattr(throttle, "_minute", lambda: 30_000_000)


@pytest.fixture
def five_a_minute(settings):
    settings.DELEGATION = {**settings.DELEGATION, "FAILED_AUTHENTICATIONS_PER_MINUTE": 5}


@pytest.fixture
def slow(monkeypatch):
    """Every slow hash, as a list that grows; each takes its time."""
    spent, real = [], toolkit.check_password

    def check(*args):
        spent.append(1)
        time.sleep(0.1)
        return real(*args)

    monkeypatch.setattr(toolkit, "check_password", check)
    return spent


def codes(crowd, world, *secrets):
    row = world.cron.row
    asks = [
        partial(Story(world).client_credentials, App(row, secret), scope="read:metrics")
        for secret in secrets
    ]
    return [answer.status_code for answer in crowd.rush(*asks)]


@pytest.mark.parametrize("secret", ["typed", RANDOM])
def test_secret_when_many_first_requests_come_at_once_then_one_slow_hash_serves_all(
    world, crowd, slow, secret
):
    if secret != "typed":
        world.cron.row.client_secret = world.cron.secret = secret
        world.cron.row.save()
    for number in range(1, crowd.rounds // 8 + 1):
        authentication.forget()
        assert codes(crowd, world, *[world.cron.secret] * crowd.size) == [200] * crowd.size
        assert len(slow) == (number if secret == "typed" else 1)
    assert SecretDigest.objects.count() == (secret != "typed")


@pytest.mark.parametrize("guesses", ["different", "the same"])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.usefixtures("five_a_minute")
def test_guesses_when_they_come_at_once_then_as_many_are_judged_as_the_limit_says(
    world, crowd, slow, guesses, known
):
    for number in range(crowd.rounds // 8):
        cache.clear()
        authentication.forget()
        if known:
            assert codes(crowd, world, world.cron.secret) == [200]
        slow.clear()
        wrong = [f"wrong {n if guesses == 'different' else number}" for n in range(crowd.size)]
        answers = codes(crowd, world, *wrong)
        assert answers.count(401) <= 5
        assert answers.count(429) == crowd.size - answers.count(401)
        assert len(slow) <= 5


def test_right_secret_when_guesses_come_at_the_same_moment_then_the_next_try_passes(
    world, crowd, slow
):
    for _round in range(crowd.rounds // 8):
        cache.clear()
        authentication.forget()
        wrong = [f"wrong {n}" for n in range(5)]
        answers = codes(crowd, world, world.cron.secret, *wrong)
        assert answers == [200] + [401] * 5
        assert codes(crowd, world, world.cron.secret) == [200]


def test_random_secret_when_it_is_replaced_while_its_digest_is_written_then_it_ends(world, crowd):
    for number in range(crowd.rounds // 8):
        old, new = RANDOM[:-2] + f"{number}M", f"{number}" + RANDOM[1:]
        row = world.cron.row
        row.client_secret = old
        row.save()
        cache.clear()
        authentication.forget()

        def change(row=row, new=new):
            hashed = toolkit.hashed_secret(new)
            type(row).objects.filter(pk=row.pk).update(client_secret=hashed)

        crowd.rush(partial(Story(world).client_credentials, App(row, old)), change)
        assert codes(crowd, world, old) == [401]
        assert codes(crowd, world, new) == [200]
        assert codes(crowd, world, old) == [401]
