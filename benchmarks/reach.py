"""How far a revocation reaches, and how fast: three real processes, two of which verify offline.

Revokes over HTTP, and asks services A and B until they refuse. Then cuts the status lists off, and
then the keys, in a proxy between the services and the authorization server.

Run: python -m benchmarks.reach [--revocations 100] [--over SECONDS] [--without-keys 60]
DATABASE_URL names a PostgreSQL server that a database is made on; SQLite otherwise.
"""

import argparse
import contextlib
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import django

from benchmarks.proxy import Proxy

PAUSE = 0.1
LONGEST = 30.0
BOUND = 7.0
STALE = 15.0


@dataclass(frozen=True)
class Opened:
    """A delegation of Alice's at A, and what A got from it for B: a call to each."""

    refresh_token: str
    calls: tuple[Callable[[], int], Callable[[], int]]

    def works(self) -> bool:
        """Tell whether both services let it in."""
        return all(call() == HTTPStatus.OK for call in self.calls)


class Stage:
    """Alice, signed in, and the apps."""

    def __init__(self, running: Any, world: dict[str, Any]) -> None:
        from example_project.demo import story
        from example_project.demo.scene import Scene
        from example_project.demo.transcript import Transcript

        self._scene = Scene(running.issuer, running.services, world, Transcript(StringIO()))
        story.open_the_app(self._scene)
        story.sign_in(self._scene)
        self.web = self._scene.web.client

    def open(self) -> Opened:
        """Let Alice consent once more, and hand it on to B."""
        from example_project.api.services import SERVICE_B

        scene = self._scene
        attempt = scene.web.begin("read:metrics")
        scene.alice.open(attempt.url)
        callback = scene.alice.submit("scopes", decision="allow").headers["Location"]
        tokens = self.web.redeem(attempt, callback)
        service_a = scene.apps["service_a"]
        child = service_a.exchange(tokens.access_token, SERVICE_B.audience, "read:metrics")
        at_a, at_b = scene.at("service_a", "metrics"), scene.at("service_b", "metrics")
        return Opened(
            tokens.refresh_token or "",
            (
                lambda: scene.web.call(tokens.access_token, "GET", at_a).status_code,
                lambda: service_a.call(child.access_token, "GET", at_b).status_code,
            ),
        )


def require(works: bool) -> None:  # noqa: FBT001 - one thing that must hold
    """Go on only if a token that was just issued is good."""
    if not works:
        raise SystemExit("a token was refused that nobody has revoked")


def seconds_until(status: int, call: Callable[[], int], since: float) -> float:
    """Call until this is the status of the answer; return when that was, seconds after `since`."""
    while (answered := call()) != status:
        if time.monotonic() - since > LONGEST:
            raise SystemExit(f"{answered} instead of {status} for {LONGEST:.0f} seconds")
        time.sleep(PAUSE)
    return time.monotonic() - since


def both(status: int, opened: Opened, since: float) -> tuple[float, float]:
    """Return `seconds_until` of both services, which are asked side by side."""
    with ThreadPoolExecutor(2) as pool:
        at_a, at_b = pool.map(lambda call: seconds_until(status, call, since), opened.calls)
    return at_a, at_b


def revocations(stage: Stage, number: int, over: float) -> bool:
    """Revoke that many at random moments, and print how long each service went on."""
    began = time.monotonic()
    opened = [stage.open() for _ in range(number)]
    require(all(each.works() for each in opened))
    print(f"{number} delegations opened and used in {time.monotonic() - began:.0f} s", flush=True)

    def revoke(each: Opened) -> tuple[float, float]:
        # Wherever the two services are between two looks at the list
        time.sleep(random.uniform(0, over))  # noqa: S311 - no secret
        stage.web.revoke(each.refresh_token)
        return both(HTTPStatus.UNAUTHORIZED, each, time.monotonic())

    with ThreadPoolExecutor(number) as pool:
        taken = list(pool.map(revoke, opened))
    return all([told("A", [a for a, _b in taken]), told("B, below it", [b for _a, b in taken])])


def told(name: str, taken: list[float]) -> bool:
    """Print what became of one service; tell whether it is as fast as promised."""
    ordered = sorted(taken)
    last = ordered[math.ceil(len(ordered) * 0.99) - 1]
    print(
        f"revoke returned, until {name:12} refuses: n {len(taken)}, median "
        f"{statistics.median(ordered):.2f} s, p99 {last:.2f} s, max {ordered[-1]:.2f} s",
        flush=True,
    )
    return last <= BOUND


def without_lists(stage: Stage, proxy: Proxy) -> bool:
    """Cut the status lists off until both refuse, and let them through again."""
    opened = stage.open()
    require(opened.works())
    proxy.cut, since = "/oauth/status", time.monotonic()
    refused = both(HTTPStatus.SERVICE_UNAVAILABLE, opened, since)
    print(
        "no status lists: good tokens are 503 after {:.1f} s at A, {:.1f} s at B".format(*refused)
    )
    proxy.cut, since = "", time.monotonic()
    again = both(HTTPStatus.OK, opened, since)
    print("status lists again: good after {:.1f} s at A, {:.1f} s at B".format(*again), flush=True)
    return max(refused) <= STALE + 2 * PAUSE


def without_keys(stage: Stage, proxy: Proxy, seconds: float) -> bool:
    """Cut the published keys off for a while, and go on with old tokens and new ones."""
    opened = [stage.open()]
    require(opened[0].works())
    proxy.refused, calls, failures = 0, 0, 0
    proxy.cut, since = "/oauth/jwks", time.monotonic()
    while time.monotonic() - since < seconds:
        opened.append(stage.open())
        for _ in range(4):
            answers = [call() for each in opened for call in each.calls]
            calls += len(answers)
            failures += sum(status != HTTPStatus.OK for status in answers)
            time.sleep(1)
    proxy.cut = ""
    print(
        f"no keys for {seconds:.0f} s ({proxy.refused} requests for them cut): {calls} calls with "
        f"{len(opened)} delegations, {len(opened) - 1} of them new; {failures} refused",
        flush=True,
    )
    return failures == 0 and proxy.refused > 0


@contextlib.contextmanager
def database(directory: Path) -> Iterator[str]:
    """Make a database for this run and yield its address."""
    os.environ["DEMO_DIR"] = str(directory)
    os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.settings"
    own = os.environ.setdefault("DATABASE_URL", f"sqlite:///{directory / 'db.sqlite3'}")
    django.setup()
    from django.core.management import call_command
    from django.db import connection, connections
    from django.test.runner import DiscoverRunner

    if connection.vendor == "sqlite":
        call_command("migrate", verbosity=0)
        yield own
        return
    runner = DiscoverRunner(verbosity=0, interactive=False)
    made = runner.setup_databases()
    try:
        yield urlunsplit(urlsplit(own)._replace(path="/" + connection.settings_dict["NAME"]))
    finally:
        connections.close_all()
        runner.teardown_databases(made)


def main(number: int, over: float, keyless: float) -> bool:
    """Measure and print; tell whether all of it is as promised."""
    with tempfile.TemporaryDirectory() as name, database(Path(name)) as url:
        from django.db import connections

        from example_project.demo import seed, servers

        world = seed.make()
        connections.close_all()
        ports = servers.free_ports(3)
        proxy = Proxy(ports[0])
        with servers.running(ports, world, issuer=proxy.address, DATABASE_URL=url) as running:
            stage = Stage(running, world)
            kept = [
                revocations(stage, number, over),
                without_lists(stage, proxy),
                without_keys(stage, proxy, keyless),
            ]
    return all(kept)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--revocations", type=int, default=100)
    parser.add_argument("--over", type=float, default=60, help="seconds that they are spread over")
    parser.add_argument("--without-keys", type=float, default=60, help="seconds of that outage")
    chosen = parser.parse_args()
    sys.exit(not main(chosen.revocations, chosen.over, chosen.without_keys))
