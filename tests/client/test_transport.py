import gzip
import os
import pickle
import signal
import socket
import threading
import time
import traceback

import pytest

from delegation_app.client.errors import ClientError, NoAnswer
from delegation_app.client.http import sessions
from delegation_app.client.http.transport import HttpTransport, Request
from tests.client.peers import drips, header, is_silent, peer, says

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

SECRET = "a-secret-that-nobody-may-see-anywhere"
HEAD = b"HTTP/1.1 200 OK\r\n"


def posted(url):
    return Request.form(url, {"client_secret": SECRET}, {"Authorization": f"Basic {SECRET}"})


def test_send_when_the_peer_answers():
    with peer(says(b'{"a": 1}', "418 Teapot", "X-Some: thing")) as there:
        answer = HttpTransport().send(posted(there.url))
    assert (answer.status, answer.headers["x-some"], answer.body) == (418, "thing", b'{"a": 1}')
    assert header(there.requests[0], "Content-Type") == "application/x-www-form-urlencoded"
    assert there.requests[0].endswith(b"client_secret=" + SECRET.encode())


def test_form_when_a_field_has_several_values():
    sent = Request.form("https://x.example", {"resource": ["a", "b"], "scope": "c d"})
    assert sent.body == b"resource=a&resource=b&scope=c+d"


SLOW = {
    "black hole": is_silent,
    "dripping status": drips(b"", b"H"),
    "dripping headers": drips(HEAD + b"X-Slow: ", b"x"),
    "one header after the other": drips(HEAD, b"A: b\r\n"),
    "never more than continue": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "dripping body": drips(HEAD + b"Content-Length: 1000\r\n\r\n"),
    "body without an end": drips(HEAD + b"\r\n"),
    "dripping chunks": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "dripping chunk size": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "dripping trailers": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n"),
    "dripping redirect": drips(
        b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 1000\r\n\r\n", b"x"
    ),
}


@pytest.mark.parametrize("speak", SLOW.values(), ids=SLOW)
def test_send_when_the_peer_takes_its_time(speak):
    with peer(speak) as there:
        started = time.monotonic()
        with pytest.raises(NoAnswer):
            HttpTransport(total_seconds=0.4).send(posted(there.url))
    # It should take 0.4 seconds. The machine may be busy, but the peer goes on for 30.
    assert time.monotonic() - started < 5


def test_send_when_the_peer_does_not_accept():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        # A full queue: what comes now is dropped
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        started = time.monotonic()
        with pytest.raises(NoAnswer):
            HttpTransport(total_seconds=0.4).send(
                posted(f"http://127.0.0.1:{listener.getsockname()[1]}")
            )
        for one in waiting:
            one.close()

    assert time.monotonic() - started < 5


def test_send_when_the_resolver_does_not_answer(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **named: [over.wait(30)][:0])
    started = time.monotonic()
    with pytest.raises(NoAnswer, match=r"as\.example\.com"):
        HttpTransport(total_seconds=0.3).send(posted("https://as.example.com/token"))
    over.set()
    assert time.monotonic() - started < 5


def test_send_when_a_name_has_many_dead_addresses(monkeypatch):
    tried = []

    class Dead(socket.socket):
        def connect(self, address):
            tried.append(address)
            time.sleep(0.1)
            raise TimeoutError

    place = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))
    monkeypatch.setattr(sessions, "_lookup", lambda host, port: [place] * 1000)
    monkeypatch.setattr(sessions.socket, "socket", Dead)
    with pytest.raises(NoAnswer, match="Timeout"):
        HttpTransport(total_seconds=0.35).send(posted("https://as.example.com/token"))

    assert 1 <= len(tried) <= 4


@pytest.mark.parametrize(
    "name", ["no-such-name.invalid", "a" * 64 + ".example", "as..example.com", "xn--a.example"]
)
def test_send_when_there_is_no_such_name(name, monkeypatch):
    def look_up(host, port, **named):
        host.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(NoAnswer):
        HttpTransport(total_seconds=1).send(posted(f"https://{name}/"))


GARBAGE = {
    "nothing": b"",
    "no HTTP": b"\x00\xff\xfe garbage\r\n\r\n",
    "another version": b"HTTP/9.9 200 OK\r\n\r\n",
    "cut off": HEAD + b"Content-Length: 100\r\n\r\nshort",
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nshort",
    "bad chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n",
    "cut off chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\nx",
    "long line": HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
    "many headers": HEAD + b"X: y\r\n" * 300 + b"\r\n",
    "no status": b"HTTP/1.1 abc\r\n\r\n",
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bytes_", GARBAGE.values(), ids=GARBAGE)
def test_send_when_the_answer_is_garbage(bytes_):
    def speak(connection, request):
        connection.sendall(bytes_)
        return "close"

    with peer(speak) as there, pytest.raises(NoAnswer) as caught:
        HttpTransport(total_seconds=2).send(posted(there.url))
    assert SECRET not in str(caught.value)


def test_send_when_the_answer_is_too_long():
    endless = drips(HEAD + b"\r\n", b"x" * 65536, every=0)
    with peer(endless) as there, pytest.raises(NoAnswer, match="more than 100000 bytes"):
        HttpTransport(max_bytes=100_000).send(posted(there.url))


def test_send_when_a_redirect_has_an_endless_body():
    start = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n"
    endless = drips(start, b"x" * 65536, every=0)
    with peer(endless) as there, pytest.raises(NoAnswer, match="more than 100000 bytes"):
        HttpTransport(max_bytes=100_000).send(posted(there.url))


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "gzip, gzip", "br", "zstd"])
def test_send_when_the_answer_is_compressed(encoding):
    bomb = gzip.compress(b"0" * 10_000_000)
    with (
        peer(says(bomb, "200 OK", f"Content-Encoding: {encoding}")) as there,
        pytest.raises(NoAnswer, match="compressed"),
    ):
        HttpTransport().send(posted(there.url))
    assert header(there.requests[0], "Accept-Encoding") == "identity"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 T", "308 P"])
def test_send_when_the_answer_is_a_redirect(status):
    with peer(says()) as trap, peer(says(b"", status, f"Location: {trap.url}/x")) as there:
        answer = HttpTransport().send(posted(there.url))
    assert answer.status == int(status[:3])
    assert trap.requests == []


def test_send_when_the_environment_has_a_say(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login mallory password stolen\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with peer(says()) as proxy, peer(says(b"{}", "200 OK", "Set-Cookie: a=b; Path=/")) as there:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        transport = HttpTransport()
        transport.send(Request("GET", there.url))
        transport.send(Request("GET", there.url))

    assert proxy.requests == []
    assert len(there.requests) == 2
    assert header(there.requests[1], "Cookie") is None
    assert header(there.requests[1], "Authorization") is None


def test_errors_when_there_is_no_answer():
    with peer(is_silent) as there, pytest.raises(ClientError) as caught:
        HttpTransport(total_seconds=0.2).send(posted(there.url + "/token"))
    error = caught.value
    written = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__dict__)

    assert SECRET not in written
    # The error of `requests` carries the request, and a reporter of errors would follow the chain
    assert (error.__cause__, error.__context__) == (None, None)
    assert error.temporary
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own


def test_representations_when_they_are_logged():
    request = posted("https://as.example.com/token")
    assert SECRET not in repr(request)
    assert repr(request).startswith("Request(method='POST', url='https://as.example.com/token'")


def test_send_when_many_threads_share_it():
    def speak(connection, request):
        asked = request.rpartition(b"\r\n\r\n")[2]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(asked) + asked)

    transport, wrong = HttpTransport(), []

    def ask(number):
        for turn in range(10):
            mine = f"{number}-{turn}".encode()
            if transport.send(Request("POST", there.url, {}, mine)).body != mine:
                wrong.append(mine)

    with peer(speak) as there:
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_send_when_the_process_forked():
    ports = []

    def speak(connection, request):
        ports.append(connection.getpeername()[1])
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    transport = HttpTransport()
    with peer(speak) as there:
        transport.send(Request("GET", there.url))
        transport.send(Request("GET", there.url))
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            status = 1
            try:
                status = 0 if transport.send(Request("GET", there.url)).status == 200 else 2
            finally:
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        transport.send(Request("GET", there.url))

    assert os.waitstatus_to_exitcode(ended) == 0
    # The same connection before and after, and another one for the child
    assert ports[0] == ports[1] == ports[3] != ports[2]


def test_send_when_the_authority_is_unknown(certificate):
    with peer(says(), tls=certificate.context) as there, pytest.raises(NoAnswer, match="SSL"):
        HttpTransport().send(posted(there.url))
    assert there.requests == []


def test_send_when_the_authority_is_named(certificate):
    with peer(says(), tls=certificate.context) as there:
        answer = HttpTransport(verify=str(certificate.path)).send(posted(there.url))
    assert answer.status == 200


def test_send_when_the_peer_drips_over_tls(certificate):
    with peer(drips(HEAD, b"A: b\r\n"), tls=certificate.context) as there:
        started = time.monotonic()
        with pytest.raises(NoAnswer):
            HttpTransport(verify=str(certificate.path), total_seconds=0.5).send(posted(there.url))
    assert time.monotonic() - started < 5


def test_send_when_the_peer_never_shakes_hands(certificate):
    with peer(is_silent) as there:
        started = time.monotonic()
        with pytest.raises(NoAnswer):
            HttpTransport(total_seconds=0.4).send(posted(there.url.replace("http:", "https:")))
    assert time.monotonic() - started < 5


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def in_five_seconds():
    token = sessions._deadline.set(time.monotonic() + 5)
    yield
    sessions._deadline.reset(token)


def read(pair, limit):
    ours, theirs = pair
    ours.settimeout(limit)
    theirs.sendall(b"x")
    reading = sessions._TimedSocket(ours)
    buffer = bytearray(1)
    assert reading.readinto(buffer) == 1
    reading.close()
    return ours.gettimeout()


@pytest.mark.parametrize("limit", [30, None])
def test_read_when_less_time_is_left_than_a_read_may_take(pair, in_five_seconds, limit):
    assert 0 < read(pair, limit) <= 5


def test_read_when_a_read_may_take_less_than_is_left(pair, in_five_seconds):
    assert read(pair, 0.25) == 0.25


def test_read_when_the_time_is_up(pair):
    ours, theirs = pair
    theirs.sendall(b"x")
    token = sessions._deadline.set(time.monotonic())
    reading = sessions._TimedSocket(ours)
    sessions._deadline.reset(token)

    with pytest.raises(TimeoutError):
        reading.readinto(bytearray(1))
    reading.close()
