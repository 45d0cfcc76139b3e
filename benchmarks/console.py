"""What the pages of the console cost with a million delegations on file.

Run: python -m benchmarks.console [--help]

Set TEST_DATABASE_URL for PostgreSQL. The database is filled inside itself; then each page is asked
for as an operator, all of them in turn, and its statements, its median and its 95th percentile are
printed. A page that takes more statements or more time than it may is marked.
"""

import argparse
import math
import statistics
import time
from typing import Any

from benchmarks import console_pages, console_rows, database
from benchmarks.stage import milliseconds, staged

MOST_STATEMENTS, MOST_MS, MOST_OBJECT_MS = 12, 300, 500


def main(arguments: list[str] | None = None) -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(prog="benchmarks.console", description=__doc__)
    parser.add_argument("--delegations", type=int, default=1_000_000)
    parser.add_argument("--each", type=int, default=5, help="tokens and events per delegation")
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--only", default="", help="pages whose name begins so")
    parser.add_argument("--keep", action="store_true", help="and use what was kept before")
    sizes = parser.parse_args(arguments)
    with staged(keep=sizes.keep) as story:
        began = time.monotonic()
        site = console_rows.Site(sizes)
        if story is not None:
            site.fill(story)
            database.tidy()
        site.find()
        counts = ", ".join(f"{count} {name}" for name, count in site.counts().items())
        print(f"{counts}; filled in {time.monotonic() - began:.0f} s", flush=True)
        measure(site, sizes)


def measure(site: Any, sizes: argparse.Namespace) -> None:
    """Ask each page in turn, and print what it takes."""
    browser = _operator()
    pages = {n: u for n, u in console_pages.addresses(site).items() if n.startswith(sizes.only)}
    acts = {name: _asking(browser, url) for name, url in pages.items()}
    asked = {name: _statements(act) for name, act in acts.items()}
    for name, both in _timed(sizes.runs, acts).items():
        ordered, cpu = (sorted(figures) for figures in zip(*both, strict=True))
        p95 = ordered[math.ceil(len(ordered) * 0.95) - 1]
        limit = MOST_OBJECT_MS if name in console_pages.OBJECTS else MOST_MS
        too_many = asked[name] > MOST_STATEMENTS and name not in console_pages.OBJECTS
        print(
            f"{name:52} {asked[name]:3} statements  median {statistics.median(ordered):7.1f} ms"
            f"  p95 {p95:7.1f} ms  own CPU {statistics.median(cpu):6.1f} ms"
            f"{'  TOO MUCH' if p95 > limit or too_many else ''}",
            flush=True,
        )


def _timed(runs: int, acts: dict[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Return the milliseconds of each act by the clock, and those of this process alone."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in acts}
    for _ in range(runs):
        for name, act in acts.items():
            before = time.process_time()
            clock = milliseconds(act)
            taken[name].append((clock, (time.process_time() - before) * 1000))
    return taken


def _operator() -> Any:
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Permission

    from tests.support import SecureClient

    operator = get_user_model().objects.get_or_create(username="operator", is_staff=True)[0]
    labels = ("delegation_app", "oauth2_provider", "auth")
    operator.user_permissions.set(Permission.objects.filter(content_type__app_label__in=labels))
    browser = SecureClient()
    browser.force_login(operator)
    return browser


def _asking(browser: Any, url: str) -> Any:
    from django.core.cache import cache

    def ask() -> None:
        # What is kept for a minute is made anew, so that the worst is measured
        cache.clear()
        response = browser.get(url)
        if response.status_code != 200:  # noqa: PLR2004 - HTTP
            raise RuntimeError(f"{url}: {response.status_code}")

    return ask


def _statements(act: Any) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    # Django remembers content types per process, so the first request may cost more
    act()
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


if __name__ == "__main__":
    main()
