import gc
import gzip
import time

import pytest
import requests

from delegation_app.client import session
from delegation_app.client.http import fork_safety
from tests.client.peers import drips, header, peer, says

pytestmark = pytest.mark.any_database


def test_session_when_the_service_drips():
    slow = drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    with peer(slow) as there:
        started = time.monotonic()
        with pytest.raises(requests.RequestException):
            session(total_seconds=0.4).get(there.url)
    assert time.monotonic() - started < 5


def test_session_when_a_streamed_body_drips():
    slow = drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    with peer(slow) as there:
        started = time.monotonic()
        with (
            session(total_seconds=0.4).get(there.url, stream=True) as answer,
            pytest.raises(requests.RequestException),
        ):
            answer.content  # noqa: B018 - it is read when it is asked for

    assert time.monotonic() - started < 5


def test_session_when_a_caller_is_in_a_hurry():
    silent = drips(b"", b"")
    with peer(silent) as there:
        started = time.monotonic()
        with pytest.raises(requests.Timeout):
            session(total_seconds=20).get(there.url, timeout=0.2)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("follow", [True, False])
def test_session_when_the_answer_is_a_redirect(follow):
    with peer(says()) as trap, peer(says(b"", "302 Found", f"Location: {trap.url}")) as there:
        answer = session().get(there.url, allow_redirects=follow)
    assert answer.status_code == 302
    assert trap.requests == []


def test_session_when_the_environment_has_a_say(monkeypatch):
    with peer(says()) as proxy, peer(says(b"{}", "200 OK", "Set-Cookie: a=b; Path=/")) as there:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        calls = session()
        calls.get(there.url)
        calls.get(there.url)

    assert proxy.requests == []
    assert header(there.requests[1], "Cookie") is None


def test_session_when_an_answer_is_compressed():
    body = gzip.compress(b'{"a": 1}')
    with peer(says(body, "200 OK", "Content-Encoding: gzip")) as there:
        assert session().get(there.url).json() == {"a": 1}


class Thing:
    def __init__(self):
        self.renewed = 0

    def reset_after_fork(self):
        self.renewed += 1


def test_fork_when_a_process_forks():
    thing = Thing()
    fork_safety.register(thing)
    fork_safety._reset_all()
    assert thing.renewed == 1


def test_fork_when_a_thing_is_gone():
    before = len(fork_safety._registered)
    thing = Thing()
    fork_safety.register(thing)
    del thing
    gc.collect()
    assert len(fork_safety._registered) <= before
