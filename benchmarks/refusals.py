"""What requests without valid credentials cost: CPU of each endpoint, and rows that stay behind.

Run: python -m benchmarks.refusals [--quick]

Set TEST_DATABASE_URL for PostgreSQL. The figures are of this process: what the database does beside
it is not in them. Each request is sent many times from one address, as in a flood; what the first
tries of a minute cost is a line of its own. Secrets are hashed as Django does by default.
Exits with 1 if a request costs more than its bound.
"""

import argparse
import base64
import sys
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from benchmarks.stage import staged

Act = Callable[[], object]

_BOUND = 10.0
_REQUESTS, _REFUSED = 1000, 10_000
_QUICK_REQUESTS, _QUICK_REFUSED = 60, 300
# More than any budget of one address
_FIRST_TRIES = 60
_LONG = 60_000
_LONG_HEADERS = {
    "a long Accept": {"HTTP_ACCEPT": "a/b;q=0.1," * (_LONG // 10)},
    "a long Accept-Encoding": {"HTTP_ACCEPT_ENCODING": "a;q=0," * (_LONG // 6)},
    "a long If-None-Match": {"HTTP_IF_NONE_MATCH": '"a",' * (_LONG // 4)},
    "a long X-Forwarded-For": {"HTTP_X_FORWARDED_FOR": "192.0.2.1," * (_LONG // 10)},
}
_BACK_CHANNEL = ("token", "exchange", "introspect", "revoke", "device_authorization")
_PLAIN = (
    "/.well-known/oauth-authorization-server",
    "/oauth/jwks",
    "/oauth/status",
    "/oauth/status/1",
    "/oauth/logo/unknown",
    "/oauth/device?user_code=BBBB-BBBB",
    "/connections/",
    "/connections/api/",
    "/delegations/api/",
)


def _basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def _sent_to(story: Any, name: str) -> dict[str, Act]:
    """Return the requests to one endpoint where clients authenticate, from cheap to dear."""
    path, number = f"/oauth/{name}", count()
    form = {"grant_type": "client_credentials", "token": "x"}
    random, typed = story.world.cron.client_id, story.world.service_a_client.client_id

    def secret(client_id: str, text: str) -> Act:
        return lambda: story.post(path, form, HTTP_AUTHORIZATION=_basic(client_id, text))

    return {
        "GET": lambda: story.wire.get(path),
        "no client": lambda: story.post(path, form),
        "unknown clients": lambda: story.post(
            path, form, HTTP_AUTHORIZATION=_basic(f"nobody-{next(number)}", "x")
        ),
        "wrong secret, random client": secret(random, "x"),
        "wrong secret, typed client": secret(typed, "x"),
        f"secret of {_LONG} characters": lambda: story.post(
            path, {**form, "client_id": typed, "client_secret": "x" * _LONG}
        ),
        "header of 1 MB": secret(typed, "%41" * 350_000),
        "100 long parameters": lambda: story.post(
            path, {f"parameter-{field}": "%" * 200 for field in range(100)}
        ),
    }


def _authorizations(story: Any) -> dict[str, Act]:
    stranger = type(story)(story.world)
    long = {"state": "x" * 2000, "scope": " ".join(f"scope-{n}" for n in range(2000))}
    return {
        "no parameter": lambda: stranger.authorize_raw(""),
        "unknown client": lambda: stranger.authorize(client_id="nobody"),
        "unknown redirect URI": lambda: stranger.authorize(redirect_uri="https://x.example"),
        "not signed in": stranger.authorize,
        "prompt=none": lambda: stranger.authorize(prompt="none"),
        "2,000 scopes": lambda: stranger.authorize(**long),
        "a query of 60,000 characters": lambda: stranger.authorize(state="%" * (_LONG // 3)),
    }


def _cases(story: Any) -> dict[str, dict[str, Act]]:
    """Return every request by its endpoint."""
    cases = {f"/oauth/{name}": _sent_to(story, name) for name in _BACK_CHANNEL}
    cases["/oauth/device_authorization"]["a device starts"] = story.start
    cases["/oauth/token"]["unknown code, public client"] = lambda: story.redeem(
        "x", story.world.mobile
    )
    cases["/oauth/authorize"] = _authorizations(story)
    for path in _PLAIN:
        cases[path] = {
            "GET": lambda path=path: type(story)(story.world).wire.get(path),
            "a token of 60,000 characters": lambda path=path: story.wire.get(
                path, HTTP_AUTHORIZATION="Bearer " + "e" * _LONG
            ),
            **{
                name: lambda path=path, headers=headers: story.wire.get(path, **headers)
                for name, headers in _LONG_HEADERS.items()
            },
        }
    return cases


def _cpu(act: Act, requests: int) -> float:
    """Return the milliseconds of CPU of one request, on average."""
    start = time.process_time()
    for _ in range(requests):
        act()
    return (time.process_time() - start) * 1000 / requests


def cost(story: Any, requests: int) -> bool:
    """Print what the cheapest and the dearest request of each endpoint cost.

    Returns:
        Whether all are within their bound.
    """
    first = _sent_to(story, "token")["unknown clients"]
    print(f"{'the first tries of a minute, each':62} {_cpu(first, _FIRST_TRIES):8.2f} ms")
    print(f"\n{'CPU of a request, on average':62} {'cheapest':>8}    {'dearest':>8}    bound")
    within = True
    for path, acts in _cases(story).items():
        taken = {name: _cpu(act, requests) for name, act in acts.items()}
        low, high = min(taken, key=taken.__getitem__), max(taken, key=taken.__getitem__)
        kept = taken[high] <= _BOUND
        within = within and kept
        print(
            f"{path:42.42}{high:20.20} {taken[low]:8.2f} ms {taken[high]:8.2f} ms"
            f" {_BOUND:5.0f} ms{'' if kept else '  EXCEEDED'}",
            flush=True,
        )
    return within


def _refused(story: Any) -> dict[str, Act]:
    """Return the refusals whose rows are counted."""
    stranger, number = type(story)(story.world), count()
    form = {"grant_type": "client_credentials"}
    cron, mobile = story.world.cron.client_id, story.world.mobile

    def asked(client_id: str, **headers: str) -> object:
        authorization = _basic(client_id, f"wrong-{next(number)}")
        return story.post("/oauth/token", form, HTTP_AUTHORIZATION=authorization, **headers)

    def address() -> str:
        return f"198.18.{next(number) // 256 % 256}.{next(number) % 256}"

    return {
        "unknown client": lambda: asked(f"nobody-{next(number)}"),
        "many addresses": lambda: asked(f"nobody-{next(number)}", REMOTE_ADDR=address()),
        "wrong secret": lambda: asked(cron),
        "no client": lambda: story.post("/oauth/token", form),
        "authorize": lambda: stranger.authorize(response_type="token"),
        "prompt=none": lambda: stranger.authorize(prompt="none"),
        "device starts": story.start,
        "bad code": lambda: story.redeem(f"x{next(number)}", mobile),
        "bad token": lambda: story.refresh(f"x{next(number)}", mobile),
        "bad revocation": lambda: story.revoke(f"x{next(number)}", mobile),
    }


def _rows() -> dict[str, int]:
    from django.apps import apps

    models = [model for model in apps.get_models() if model._meta.managed]
    return {model._meta.db_table: model._default_manager.count() for model in models}


def growth(story: Any, requests: int) -> Mapping[str, Mapping[str, int]]:
    """Print how many rows each kind of refused request adds to each table, and return them."""
    added: dict[str, Mapping[str, int]] = {}
    for name, act in _refused(story).items():
        before = _rows()
        for _ in range(requests):
            act()
        after = _rows()
        added[name] = {table: after[table] - before[table] for table in after}
    tables = sorted({table for rows in added.values() for table in rows if rows[table]})
    print(f"\n{f'rows added by {requests} refused requests':42} {'in all':>8}")
    for name, rows in added.items():
        told = ", ".join(f"{table} {rows[table]}" for table in tables if rows[table])
        print(f"{name:42} {sum(rows.values()):8}  {told}", flush=True)
    return added


def prepare(story: Any) -> None:
    """Give one client a random secret and another a typed one, each used once."""
    from delegation_app.protocol.secrets import new_secret
    from delegation_app.services.clients import secrets

    cron, typed = story.world.cron, story.world.service_a_client
    cron.row.client_secret = cron.secret = new_secret()
    cron.row.save()
    secrets.keep_digest(cron.row, cron.secret)
    story.introspect("x", typed)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.refusals", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer requests of each kind")
    quick = parser.parse_args().quick
    with staged() as story:
        import logging

        from django.test import override_settings

        # A flood would fill the log with what is measured here
        logging.disable(logging.CRITICAL)
        hashed = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
        with override_settings(PASSWORD_HASHERS=hashed):
            for app in story.world.apps.values():
                app.row.client_secret = app.secret or ""
                app.row.save()
            prepare(story)
            within = cost(story, _QUICK_REQUESTS if quick else _REQUESTS)
            growth(story, _QUICK_REFUSED if quick else _REFUSED)
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
