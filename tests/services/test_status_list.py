"""Which tokens stand in which list, how long a list is kept, and what a cache can't do to it."""

import threading
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from delegation_app.models import AccessToken
from delegation_app.protocol.permutation import permutation
from delegation_app.protocol.secrets import derive_key, new_token_id
from delegation_app.protocol.status_list import StatusList
from delegation_app.services import audit, caching, signing_keys
from delegation_app.services.delegations import revocation
from delegation_app.services.status_lists import cache as status_cache
from delegation_app.services.status_lists import publication
from delegation_app.services.status_lists.publication import SIZE, ExpiredList, UnknownList
from tests.support.statuses import fetched, reference, status
from tests.support.world import claims_of

OPERATOR = audit.RequestContext("user:99")
OTHER_SECRET = "another key for tests, of no value to anyone, but long enough"


def name_of(token):
    return reference(token)[0].rsplit("/", 1)[1]


def published(token):
    return publication.published(name_of(token))


def row_of(token):
    return AccessToken.objects.get(jti=claims_of(token)["jti"])


def end(token):
    return revocation.subtree(row_of(token).delegation, OPERATOR, reason="test")


def bits(made):
    claims = claims_of(made.token.decode())
    return StatusList.parse(claims["status_list"])


def put(token, pk, **values):
    """Make a token like this one whose row has another key."""
    row = row_of(token)
    row.pk, row.jti = pk, new_token_id()
    row._state.adding = True
    for name, value in values.items():
        setattr(row, name, value)
    row.save(force_insert=True)
    return row


def gone(name):
    with pytest.raises(ExpiredList):
        publication.published(name)


def statements(act):
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


@pytest.fixture
def token(clock, story):
    issued = story.tokens()["access_token"]
    # Or what made the world would count as a change that comes later
    clock.forward(seconds=1)
    return issued


@pytest.fixture
def uncached(settings):
    settings.DELEGATION = {**settings.DELEGATION, "STATUS_LIST_CACHE_SECONDS": 0}


# Which index


@pytest.mark.conformance("SL-14", "SL-15", "SL-19")
def test_reference_when_there_are_many_tokens_then_each_has_its_own_in_few_lists():
    some = [*range(1, 5_001), *range(SIZE - 2_500, SIZE + 2_500)]
    references = [publication.reference(token) for token in some]
    assert len(set(references)) == len(some)
    assert len({found.uri for found in references}) == 2
    assert all(0 <= found.index < SIZE for found in references)
    indices = [found.index for found in references[:5_000]]
    assert indices not in (sorted(indices), sorted(indices, reverse=True))


def test_reference_when_told_then_the_list_marks_that_very_index(story, token, uncached):
    others = [story.tokens()["access_token"] for _ in range(3)]
    end(others[0])
    path, index = reference(others[0])
    read = StatusList.parse(fetched(story, path)["status_list"])
    assert len(read) == SIZE
    assert [n for n in range(SIZE) if read[n]] == [index]


@pytest.mark.parametrize("setting", ["SECRET_KEY", "KEY_ENCRYPTION_KEY"])
def test_reference_when_the_secret_was_changed_then_old_tokens_find_their_list(
    story, token, uncached, settings, setting
):
    before = reference(token)
    if setting == "SECRET_KEY":
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = OTHER_SECRET
    else:
        both = (OTHER_SECRET, settings.SECRET_KEY)
        settings.DELEGATION = {**settings.DELEGATION, "KEY_ENCRYPTION_KEY": both}
    signing_keys.forget()
    story.browser.force_login(story.world.alice)
    new = story.tokens(prompt="consent")["access_token"]
    assert reference(new)[0] != before[0]
    assert (status(story, token), status(story, new)) == (0, 0)
    end(token)
    assert (status(story, token), status(story, new)) == (1, 0)
    end(new)
    assert (status(story, token), status(story, new)) == (1, 1)
    assert {f"https://as.example.com{reference(text)[0]}" for text in (token, new)} <= set(
        publication.addresses()
    )
    settings.SECRET_KEY_FALLBACKS = []
    settings.DELEGATION = {"ISSUER": settings.ISSUER}
    settings.SECRET_KEY = OTHER_SECRET
    with pytest.raises(UnknownList):
        published(token)


def test_reference_when_made_then_the_key_is_derived_for_this_alone(token, settings):
    key = derive_key(settings.SECRET_KEY, "status-lists")
    shuffle = permutation(key, 0, 20)
    assert reference(token)[1] == shuffle(row_of(token).pk)
    assert repr(publication._keys()[0]).count("secret") == 0


# Which lists there are


@pytest.mark.parametrize(
    "name",
    [
        "", "-1", "+1", "x", "1e3", "1.0", " 1", "1 ", "٣", "\uff11", "0x10", "00", "01", "1\n",
        "1\0", "9" * 30, "9" * 5000, str(1 << 63), str(1 << 95),
    ],
    ids=lambda name: repr(name)[:12],
)  # fmt: skip
def test_list_when_its_name_is_none_then_unknown(token, name):
    with pytest.raises(UnknownList):
        publication.published(name)
    own = int(name_of(token))
    for other in (own + 1, own ^ 1, own + (1 << 32) * 2, own + (1 << 32) * (1 << 43)):
        with pytest.raises(UnknownList):
            publication.published(str(other))
    for spelling in (f"0{own}", f"+{own}", f" {own}", f"{own}\n"):
        with pytest.raises(UnknownList):
            publication.published(spelling)


def test_list_when_there_is_no_token_yet_then_the_first_two_are_there(db):
    first, second, third = (
        publication.reference(number * SIZE).uri.rsplit("/", 1)[1] for number in range(3)
    )
    assert not any(bits(publication.published(first)).packed)
    assert not any(bits(publication.published(second)).packed)
    with pytest.raises(UnknownList):
        publication.published(third)
    assert [uri.rsplit("/", 1)[1] for uri in publication.addresses()] == [second, first]


def test_list_when_all_its_tokens_have_expired_then_it_is_over_for_good(clock, token, story):
    first = name_of(token)
    put(token, SIZE + 5)
    second = publication.reference(SIZE).uri.rsplit("/", 1)[1]
    assert bits(publication.published(first))
    assert len(publication.addresses()) == 3
    clock.forward(seconds=658)
    assert bits(publication.published(first))
    clock.forward(seconds=1)
    with pytest.raises(ExpiredList):
        publication.published(first)
    # This one may still get a token
    assert bits(publication.published(second))
    assert len(publication.addresses()) == 2
    # The look at all of them is remembered
    assert statements(lambda: gone(first)) == 3
    # And a day later it is known without one
    cache.clear()
    clock.forward(hours=30)
    assert statements(lambda: gone(first)) == 2
    assert len(publication.addresses()) == 2


def test_list_when_one_of_its_tokens_lives_longer_then_it_is_not_over(clock, token, story):
    first = name_of(token)
    long = put(token, SIZE - 9, expires_at=clock.time + timedelta(hours=23))
    put(token, SIZE - 8)
    put(token, SIZE + 5)
    clock.forward(hours=2)
    assert bits(publication.published(first))
    revocation.subtree(long.delegation, OPERATOR, reason="test")
    made = bits(publication.published(first))
    assert [n for n in range(SIZE) if made[n]] == [publication.reference(long.pk).index]
    clock.forward(hours=22)
    with pytest.raises(ExpiredList):
        publication.published(first)


# How a list is signed


@pytest.mark.conformance("SL-06", "SL-18", "SL-22")
def test_list_when_signed_then_it_says_what_it_must(token, clock, settings):
    claims = claims_of(published(token).token.decode())
    now = int(clock.time.timestamp())
    assert claims.pop("status_list").keys() == {"bits", "lst"}
    assert claims == {
        "iss": "https://as.example.com",
        "sub": f"https://as.example.com{reference(token)[0]}",
        "iat": now,
        "exp": now + 300,
        "ttl": 5,
    }
    settings.DELEGATION = {
        **settings.DELEGATION,
        "STATUS_LIST_TTL": 7,
        "STATUS_LIST_LIFETIME": 60,
    }
    status_cache.changed()
    claims = claims_of(published(token).token.decode())
    assert (claims["ttl"], claims["exp"] - claims["iat"]) == (7, 60)


def test_list_when_nothing_changed_then_the_same_bytes_for_half_its_life(token, clock):
    first = published(token)
    for _ in range(3):
        clock.forward(seconds=49)
        again = published(token)
        assert (again.token, again.tag) == (first.token, first.tag)
        assert again.looked_at == clock.time.timestamp()
    clock.forward(seconds=4)
    later = published(token)
    assert later.token != first.token
    assert later.issued_at == clock.time.timestamp()


def test_list_when_something_changed_then_other_bytes(token, clock):
    first = published(token)
    end(token)
    second = published(token)
    assert second.tag != first.tag
    assert bits(second).packed != bits(first).packed


@pytest.mark.parametrize("withdraw", [False, True])
def test_list_when_the_key_was_rotated_then_it_is_signed_anew(token, clock, withdraw, uncached):
    first = published(token)
    clock.forward(seconds=1)
    # As another process would
    signing_keys._rotate(OPERATOR, force=True, withdraw=withdraw)
    second = published(token)
    assert second.kid != first.kid
    assert second.kid == signing_keys.signer().kid


def test_list_when_the_clock_goes_back_then_its_time_does_not(token, clock, uncached):
    clock.forward(seconds=100)
    first = published(token)
    clock.forward(seconds=-30)
    end(token)
    second = published(token)
    assert second.issued_at == first.issued_at
    assert second.token != first.token


# How long a list is kept


def test_list_when_asked_again_within_the_second_then_no_statement(token):
    # On PostgreSQL three more, for one setting that is good for these alone
    assert statements(lambda: published(token)) <= 12
    assert statements(lambda: published(token)) == 0


def test_list_when_the_second_is_over_then_it_is_looked_at_again(token, clock, world):
    published(token)
    type(world.alice).objects.update(is_active=False)
    assert not any(bits(published(token)).packed)
    clock.forward(milliseconds=999)
    assert not any(bits(published(token)).packed)
    clock.forward(milliseconds=1)
    assert any(bits(published(token)).packed)


@pytest.mark.conformance("SL-20")
@pytest.mark.parametrize(
    "change",
    [
        lambda story, token: end(token),
        lambda story, token: story.revoke(token),
        lambda story, token: story.world.web.change(enabled=False),
        lambda story, token: story.world.web.policy.audiences.clear(),
        lambda story, token: story.world.service_a.delete(),
        lambda story, token: story.world.alice.delete(),
        lambda story, token: story.world.web.row.delete(),
    ],
    ids=["delegation", "token", "client", "audiences", "service", "person", "application"],
)
def test_list_when_this_process_changes_something_then_it_is_seen_at_once(story, token, change):
    assert not any(bits(published(token)).packed)
    change(story, token)
    assert any(bits(published(token)).packed)


def test_list_when_a_person_is_saved_then_it_is_seen_at_once_but_a_sign_in_is_no_change(
    story, token, world
):
    made = published(token)
    world.alice.save(update_fields=["last_login"])
    assert published(token) is not None
    assert statements(lambda: published(token)) == 0
    world.alice.is_active = False
    world.alice.save()
    assert published(token).tag != made.tag


@pytest.mark.django_db(transaction=True)
def test_list_when_another_process_changes_something_then_the_cache_tells_after_the_commit(story):
    token = story.tokens()["access_token"]
    first = published(token)
    with transaction.atomic():
        end(token)
        # What this process knows beside the cache is another's for now
        status_cache._local.changed_at = float("-inf")
        assert published(token).tag == first.tag or any(bits(published(token)).packed)
    status_cache._local.changed_at = float("-inf")
    assert any(bits(published(token)).packed)


def test_list_when_made_beside_a_change_then_it_is_not_kept(token, monkeypatch, story):
    """The tables are read, then somebody revokes and commits, then the list is kept."""
    other = story.tokens(prompt="consent")["access_token"]
    read = publication.invalid_tokens.ids

    def slowly(tokens, now):
        found = read(tokens, now)
        monkeypatch.setattr(publication.invalid_tokens, "ids", read)
        end(other)
        status_cache._tell()
        # Only the cache is to tell of it
        status_cache._local.changed_at = float("-inf")
        return found

    monkeypatch.setattr(publication.invalid_tokens, "ids", slowly)
    published(token)
    assert bits(published(token))[reference(other)[1]] == 1


# Caches that do not work


class Broken:
    def __getattr__(self, name):
        raise ConnectionError("cache gone")


class Forgetful:
    """Takes everything and keeps nothing."""

    def get(self, key, default=None):
        return default

    def get_many(self, keys):
        return {}

    def set(self, *args):
        pass


class Lying:
    """Answers with what it was first told, and with junk where it was told nothing."""

    def __init__(self, junk):
        self.kept, self.junk = {}, junk

    def get(self, key, default=None):
        return self.kept.get(key, self.junk)

    def get_many(self, keys):
        return {key: self.get(key) for key in keys}

    def set(self, key, value, timeout=None):
        self.kept.setdefault(key, value)


CACHES = {
    "broken": Broken,
    "forgetful": Forgetful,
    "lying": lambda: Lying(None),
    "full of junk": lambda: Lying(b"junk"),
}


@pytest.mark.parametrize("name", CACHES)
def test_cache_when_it_fails_or_lies_then_only_time_is_lost(story, token, clock, monkeypatch, name):
    monkeypatch.setattr(caching, "caches", {"default": CACHES[name]()})
    other = story.tokens(prompt="consent")["access_token"]
    assert status(story, token) == 0
    assert statements(lambda: published(token)) in {0, *range(5, 13)}
    end(token)
    assert (status(story, token), status(story, other)) == (1, 0)
    # A change that nobody tells this process of is seen when the second is over
    type(story.world.alice).objects.update(is_active=False)
    clock.forward(seconds=1)
    assert (status(story, token), status(story, other)) == (1, 1)
    type(story.world.alice).objects.update(is_active=True)
    clock.forward(seconds=1)
    assert (status(story, token), status(story, other)) == (1, 0)


def test_cache_when_it_brings_back_an_old_list_then_it_is_not_served(token, clock):
    published(token)
    number = int(name_of(token))
    generation, old = status_cache.known(number)
    clock.forward(seconds=1)
    end(token)
    published(token)
    clock.forward(seconds=1)
    status_cache.forget()
    cache.set(status_cache._name(number), old)
    cache.set(status_cache._GENERATION, generation)
    assert any(bits(published(token)).packed)


def test_cache_when_its_list_is_from_a_clock_ahead_then_it_is_looked_at_again(token, clock):
    clock.forward(seconds=600)
    published(token)
    clock.forward(seconds=-600)
    status_cache._local.forget()
    assert statements(lambda: published(token)) > 0


def test_cache_when_another_process_made_the_list_then_it_is_shared(token):
    first = published(token)
    # Another process has the same cache, and nothing else
    status_cache.forget()
    assert statements(lambda: published(token)) == 0
    assert published(token).token == first.token


def test_kept_lists_when_there_are_too_many_then_the_oldest_go(token):
    made = published(token)
    for number in range(100):
        status_cache._local.keep(number, made, 0.0)
    assert len(status_cache._local.kept) == 32
    assert status_cache._local.get(99)[0] is made
    assert status_cache._local.get(1)[0] is None


def test_lock_when_somebody_has_just_made_the_list_then_it_is_not_made_again(
    token, uncached, monkeypatch
):
    """While this one waits for the lock, another thread makes it."""
    found = publication._find(name_of(token))
    made = []

    class Contended:
        def acquire(self, timeout=-1):
            made.append(publication._make(found))
            return True

        def release(self):
            pass

    monkeypatch.setattr(publication, "_LOCKS", (Contended(),))
    assert published(token) == made[0]
    # But what was made before it asked does not do
    monkeypatch.setattr(publication, "_LOCKS", (threading.Lock(),))
    assert statements(lambda: published(token)) > 0


# Issuing costs nothing


def test_opaque_token_when_issued_then_it_has_no_claims_and_jwts_cost_no_statement(story, world):
    token = story.tokens()["access_token"]
    assert claims_of(token)["status"]
    cost = statements(lambda: story.client_credentials(scope="read:metrics"))
    type(world.service_a).objects.update(token_format="opaque")
    assert "." not in story.client_credentials(scope="read:metrics").json()["access_token"]
    assert statements(lambda: story.client_credentials(scope="read:metrics")) >= cost - 6


@pytest.mark.parametrize("seconds", [86_400, 86_401, 7 * 86_400])
def test_token_when_its_policy_lets_it_live_for_more_than_a_day_then_it_lives_for_a_day(
    story, world, seconds
):
    world.cron.change(access_token_lifetime=seconds)
    assert story.client_credentials().json()["expires_in"] == 86_400
    # And no form stores more
    if seconds > 86_400:
        with pytest.raises(ValidationError, match="86400"):
            world.cron.policy.clean_fields()
    else:
        world.cron.policy.clean_fields()


def test_addresses_when_there_are_many_lists_then_the_live_ones_and_the_next_are_told(token):
    put(token, 40 * SIZE + 17)
    uris = [publication.reference(number * SIZE).uri for number in (41, 40, 0)]
    assert publication.addresses() == uris
