"""Verifying access tokens offline, beside `decode` of PyJWT in the same run.

    python -m benchmarks.verifying [--algorithm ES256] [--tokens 2000] [--runs 9]

Needs no database and no Django. Each run times the same tokens three ways, one after the other, so
that noise meets all of them; the figures are medians of the runs, and their ratio.
"""

import argparse
import base64
import itertools
import json
import statistics
import time
from collections.abc import Callable

import jwt

from delegation_app.client.http.transport import Request, Response
from delegation_app.protocol import jose, jwk, secrets
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.status_list import StatusList
from delegation_app.resource_server.verifiers.offline import OfflineVerifier

ISSUER = "https://as.example.com"
AUDIENCE = "https://service-a.example.com"
LIST = f"{ISSUER}/oauth/status/1"
JWKS = f"{ISSUER}/oauth/jwks"
# How often each token is seen again, so that a run takes about as long as the first sight of all
_AGAIN = 20


class Issuer:
    """Signs tokens, and answers for its keys and a status list of a million tokens."""

    def __init__(self, algorithm: str) -> None:
        key = jwk.generate(algorithm)
        self.public = jwk.public_jwk(key, algorithm)
        self.identity = jose.SigningIdentity(self.public["kid"], algorithm, key)
        listed = StatusList.marking(2**20, range(0, 2**20, 100))
        claims = {**self._times(), "sub": LIST, "ttl": 5, "status_list": listed.as_json()}
        signed = jose.sign(claims, self.identity, typ="statuslist+jwt")
        self._answers = {
            JWKS: json.dumps({"keys": [self.public]}).encode(),
            LIST: signed.encode(),
        }

    def send(self, request: Request) -> Response:
        """Answer a request."""
        return Response(200, {}, self._answers[request.url])

    def token(self, number: int) -> str:
        """Return a token as the server issues it for a person."""
        claims = {
            **self._times(),
            "sub": "user:1",
            "aud": AUDIENCE,
            "client_id": "web",
            "scope": "read:metrics write:alerts",
            "jti": secrets.new_token_id(),
            "delegation_id": "0b0a6f0e-3d9c-4d6c-8f3e-6a6f3d2f8f11",
            "auth_time": int(time.time()),
            "acr": "1",
            "status": {"status_list": {"idx": number * 100 + 1, "uri": LIST}},
        }
        return jose.sign(claims, self.identity, typ="at+jwt")

    def _times(self) -> dict[str, str | int]:
        now = int(time.time())
        return {"iss": ISSUER, "iat": now, "nbf": now, "exp": now + 3600}


def per_second(act: Callable[[str], object], tokens: list[str], times: int = 1) -> float:
    """Return how many tokens a second `act` takes, on one core."""
    start = time.process_time()
    for _ in range(times):
        for token in tokens:
            act(token)
    return len(tokens) * times / (time.process_time() - start)


def refuse(verifier: OfflineVerifier, token: str) -> None:
    """Present a token that must not be taken."""
    try:
        verifier.verify(token)
    except InvalidToken:
        return
    raise RuntimeError("a forged token was taken")


def refused_per_second(verifier: OfflineVerifier, tokens: list[str]) -> float:
    """Return how many tokens with the signature of another one are refused in a second."""
    parts = [token.rpartition(".") for token in tokens]
    forged = [f"{own[0]}.{other[2]}" for own, other in itertools.pairwise(parts)]
    return per_second(lambda token: refuse(verifier, token), forged)


def attacks(issuer: Issuer) -> dict[str, str]:
    """Return tokens that shall cost much, by what is wrong with them."""
    head, claims, signature = issuer.token(1).split(".")

    def headed(text: str) -> str:
        return f"{encoded(text.encode())}.{claims}.{signature}"

    kid = issuer.public["kid"]
    return {
        "a megabyte": "." * 2**20,
        "five parts": f"{head}..{claims}.{signature}.{signature}",
        "HS256": headed(f'{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}}'),
        "a key of its own": headed('{"alg":"ES256","typ":"at+jwt","kid":"x","jwk":{}}'),
        "a kid of 4 KiB": headed(f'{{"alg":"ES256","typ":"at+jwt","kid":"{"x" * 4096}"}}'),
        "a header of brackets": headed("[" * 5000),
        "a number of 4,000 digits": headed(f'{{"alg":{"9" * 4000}}}'),
        "another signature": f"{head}.{claims}.{issuer.token(2).split('.')[2]}",
        "claims of 5 KiB": f"{head}.{encoded(b'{' * 5000)}.{signature}",
    }


def slowest_refusals(issuer: Issuer, verifier: OfflineVerifier, times: int = 50) -> None:
    """Print how long each attack takes at worst."""
    for name, token in attacks(issuer).items():
        taken = []
        for _ in range(times):
            start = time.perf_counter()
            refuse(verifier, token)
            taken.append((time.perf_counter() - start) * 1000)
        print(
            f"  {name:34} median {statistics.median(taken):6.3f} ms  longest {max(taken):6.3f} ms"
        )


def encoded(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def measure(sizes: argparse.Namespace) -> None:
    """Print what each way takes."""
    issuer = Issuer(sizes.algorithm)
    tokens = [issuer.token(number) for number in range(sizes.tokens)]
    key = jwt.PyJWK(issuer.public)

    def decode(token: str) -> None:
        jwt.decode(token, key, [sizes.algorithm], audience=AUDIENCE, issuer=ISSUER)

    taken: dict[str, list[float]] = {"PyJWT": [], "first": [], "again": [], "forged": []}
    for _ in range(sizes.runs):
        verifier = OfflineVerifier(
            ISSUER, AUDIENCE, jwks_uri=JWKS, poll_seconds=0, max_staleness=3600, transport=issuer
        )
        taken["PyJWT"].append(per_second(decode, tokens))
        taken["first"].append(per_second(verifier.verify, tokens))
        taken["again"].append(per_second(verifier.verify, tokens, _AGAIN))
        taken["forged"].append(refused_per_second(verifier, tokens))
    tell(taken, sizes)
    print("refusals, one by one")
    slowest_refusals(issuer, verifier)


def tell(taken: dict[str, list[float]], sizes: argparse.Namespace) -> None:
    """Print the medians."""
    rate = {name: statistics.median(values) for name, values in taken.items()}
    ratios = [first / theirs for first, theirs in zip(taken["first"], taken["PyJWT"], strict=True)]
    print(f"{sizes.algorithm}, {sizes.tokens} tokens, {sizes.runs} runs, medians, CPU time")
    print(f"jwt.decode, the same key made ready  {rate['PyJWT']:10,.0f} a second")
    print(f"first sight of a token               {rate['first']:10,.0f} a second")
    print(f"  ratio to jwt.decode, run by run    {statistics.median(ratios):10.2f}")
    print(f"a token seen before                  {rate['again']:10,.0f} a second")
    print(f"a forged token, refused              {rate['forged']:10,.0f} a second")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--algorithm", choices=jwk.ALGORITHMS, default="ES256")
    parser.add_argument("--tokens", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=9)
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
