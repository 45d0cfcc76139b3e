"""An authorization server made of values, and time that stands still until it is moved."""

import json
import threading
from collections import Counter
from urllib.parse import parse_qs

from delegation_app.client import Client, Credentials, Response, TokenCache
from delegation_app.client.discovery import Metadata
from delegation_app.protocol import names

ISSUER = "https://as.example.com"
SERVICE = "https://service-b.example.com"
OTHER = "https://service-c.example.com"
REDIRECT_URI = "https://web.example.com/callback"
METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/oauth/authorize",
    "token_endpoint": f"{ISSUER}/oauth/token",
    "revocation_endpoint": f"{ISSUER}/oauth/revoke",
    "introspection_endpoint": f"{ISSUER}/oauth/introspect",
    "jwks_uri": f"{ISSUER}/oauth/jwks",
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
}
KNOWN = Metadata(
    ISSUER,
    {
        name: value
        for name, value in METADATA.items()
        if isinstance(value, str) and name != "issuer"
    },
    ("S256",),
    sends_iss=True,
)


class Time:
    """Seconds; a clock and the time of day in one."""

    def __init__(self, start=1_000_000.0):
        self.seconds = start

    def __call__(self):
        return self.seconds

    def forward(self, seconds):
        self.seconds += seconds


def answer(status=200, headers=None, **members):
    return Response(status, headers or {}, json.dumps(members).encode())


class Server:
    """A transport, and what is behind it. Counts what it issues.

    `reply` may be set to a function of the form, to a response, or to an exception.
    """

    def __init__(self):
        self.sent = []
        self.issued = Counter()
        self.expires_in = 600
        self.reply = None
        self.metadata = dict(METADATA)
        self._lock = threading.Lock()

    def send(self, request):
        with self._lock:
            self.sent.append(request)
        if request.method == "GET":
            return answer(**self.metadata)
        form = parse_qs((request.body or b"").decode())
        reply = self.reply
        if callable(reply):
            reply = reply(form)
        if isinstance(reply, Exception):
            raise reply
        return self.token(form) if reply is None else reply

    def token(self, form):
        kind = form["grant_type"][0]
        with self._lock:
            self.issued[kind] += 1
            number = self.issued.total()
        members = {"access_token": f"token-{number}", "token_type": "Bearer"}
        if self.expires_in is not None:
            members["expires_in"] = self.expires_in
        if kind == names.TOKEN_EXCHANGE:
            members["issued_token_type"] = names.ACCESS_TOKEN
        return answer(**members)

    @property
    def forms(self):
        """What was posted, with the values of each field."""
        posts = [request for request in self.sent if request.method == "POST"]
        return [parse_qs(request.body.decode()) for request in posts]


def client_of(server, time=None, **cache):
    time = time or Time()
    kept = TokenCache(clock=time, now=time, jitter=lambda: 0.0, **cache)
    credentials = Credentials("service-a", "a secret that nobody may see")
    return Client(ISSUER, credentials, transport=server, cache=kept, now=time)


def crowd(size, do):
    """Call `do` in `size` threads at once; return what each returned or raised."""
    barrier = threading.Barrier(size)
    results = [None] * size

    def one(number):
        barrier.wait()
        try:
            results[number] = do()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    return results
