"""What is remembered of tokens: bounded, and without their text."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from delegation_app.resource_server.verifiers.token_cache import VerifiedTokenCache, digest_of


def test_seen_when_full_then_the_oldest_goes():
    seen = VerifiedTokenCache[int](size=3)
    for number in range(5):
        seen.put(digest_of(str(number)), number)

    assert [seen.get(digest_of(str(number))) for number in range(5)] == [None, None, 2, 3, 4]


def test_seen_when_put_again_then_it_is_the_newest():
    seen = VerifiedTokenCache[int](size=2)
    for text in ("a", "b", "a", "c"):
        seen.put(digest_of(text), 1)

    assert seen.get(digest_of("b")) is None
    assert seen.get(digest_of("a")) == 1


def test_seen_when_forgotten_then_unknown():
    seen = VerifiedTokenCache[int]()
    seen.put(digest_of("a"), 1)
    seen.forget(digest_of("a"))
    seen.forget(digest_of("never there"))

    assert len(seen) == 0


def test_seen_when_a_million_texts_come_then_it_stays_as_small_as_it_was():
    seen = VerifiedTokenCache[int](size=100)
    for number in range(1_000_000):
        seen.put(number.to_bytes(32, "big"), number)

    assert len(seen) == 100


def test_seen_when_many_threads_write_then_never_more_than_its_size():
    seen = VerifiedTokenCache[int](size=10)

    def write(start):
        for number in range(start, start + 2000):
            seen.put(digest_of(str(number)), number)

    crowd = [threading.Thread(target=write, args=[start]) for start in range(0, 8000, 1000)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()

    assert len(seen) == 10


@given(st.lists(st.text(), unique=True, max_size=50))
def test_digest_when_texts_differ_then_it_differs(texts):
    assert len({digest_of(text) for text in texts}) == len(texts)


def test_seen_when_looked_into_then_there_is_no_text_of_a_token():
    seen = VerifiedTokenCache[int]()
    seen.put(digest_of("secret-token"), 1)

    assert all("secret-token" not in repr(key) for key in seen)
