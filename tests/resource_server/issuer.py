"""An authorization server made of values: keys, tokens, status lists, and a transport to it."""

import json
from dataclasses import dataclass, field

from delegation_app.client.http.transport import NoAnswer, Response
from delegation_app.protocol import jose, jwk
from delegation_app.protocol.status_list import StatusList
from delegation_app.resource_server.verifiers.offline import Clocks, OfflineVerifier

ISSUER = "https://as.example.com"
AUDIENCE = "https://service-a.example.com"
LIST = f"{ISSUER}/oauth/status/1"
JWKS = f"{ISSUER}/oauth/jwks"
INTROSPECTION = f"{ISSUER}/oauth/introspect"
METADATA = f"{ISSUER}/.well-known/oauth-authorization-server"
NOW = 1_795_262_400


class ABSENT:
    """Stands for a claim that is left out."""


def made_key(algorithm="ES256"):
    private = jwk.generate(algorithm)
    public = jwk.public_jwk(private, algorithm)
    return jose.SigningIdentity(public["kid"], algorithm, private), public


KEY, PUBLIC = made_key()


@dataclass
class Issuer:
    """What it signs, publishes and answers. It is its own transport."""

    now: float = NOW
    steady: float = 1000.0
    key: jose.SigningIdentity = KEY
    published: list = field(default_factory=lambda: [PUBLIC])
    revoked: dict = field(default_factory=lambda: {LIST: set()})
    size: int = 64
    asked: list = field(default_factory=list)
    down: set = field(default_factory=set)
    answers: dict = field(default_factory=dict)
    metadata: dict = field(
        default_factory=lambda: {
            "issuer": ISSUER,
            "jwks_uri": JWKS,
            "token_endpoint": f"{ISSUER}/oauth/token",
            "introspection_endpoint": INTROSPECTION,
        }
    )
    list_lifetime: int = 300

    def send(self, request):
        self.asked.append(request)
        if request.url in self.down:
            raise NoAnswer("nobody there")
        if request.url in self.answers:
            return self.answers[request.url]
        etag, body = self.document(request.url)
        if request.headers.get("If-None-Match") == etag:
            return Response(304, {"etag": etag})
        return Response(200, {"etag": etag}, body)

    def document(self, url):
        if url == METADATA:
            return '"metadata"', json.dumps(self.metadata).encode()
        if url == JWKS:
            body = json.dumps({"keys": self.published}).encode()
            return f'"{hash(body)}"', body
        if url in self.revoked:
            # As the real one does: signed anew long before it expires
            signed = int(self.now) // (self.list_lifetime // 2)
            return f'"{sorted(self.revoked[url])}-{signed}"', self.status_list(url).encode()
        raise AssertionError(f"nobody should ask for {url}")

    def status_list(self, url=LIST, *, key=None, typ="statuslist+jwt", **changes):
        claims = {
            "iss": ISSUER,
            "sub": url,
            "iat": int(self.now),
            "exp": int(self.now) + self.list_lifetime,
            "ttl": 5,
            "status_list": StatusList.marking(self.size, self.revoked.get(url, ())).as_json(),
        }
        return jose.sign(changed(claims, changes), key or self.key, typ=typ)

    def claims(self, **changes):
        claims = {
            "iss": ISSUER,
            "sub": "user:7",
            "aud": AUDIENCE,
            "client_id": "web",
            "scope": "read:metrics write:alerts",
            "jti": "at-1-8WkP0xA9c3Rr7yKQm2aZ_0V",
            "delegation_id": "0b0a6f0e-3d9c-4d6c-8f3e-6a6f3d2f8f11",
            "iat": int(self.now),
            "nbf": int(self.now),
            "exp": int(self.now) + 600,
            "status": {"status_list": {"idx": 3, "uri": LIST}},
        }
        return changed(claims, changes)

    def token(self, *, key=None, typ="at+jwt", **changes):
        return jose.sign(self.claims(**changes), key or self.key, typ=typ)

    def pass_time(self, seconds):
        self.now += seconds
        self.steady += seconds

    def asked_for(self, url):
        return sum(request.url == url for request in self.asked)

    def verifier(self, audience=AUDIENCE, **arguments):
        clocks = Clocks(lambda: self.now, lambda: self.steady)
        # No thread: a test says when the verifier asks
        arguments = {"jwks_uri": JWKS, "poll_seconds": 0, "transport": self, **arguments}
        return OfflineVerifier(ISSUER, audience, clocks=clocks, **arguments)


def changed(members, changes):
    return {name: value for name, value in {**members, **changes}.items() if value is not ABSENT}
