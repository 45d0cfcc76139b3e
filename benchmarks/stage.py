"""A throw-away database with the tests' small world in it."""

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import django

_ENOUGH = 100


@contextmanager
def staged(*, keep: bool = False) -> Iterator[object]:
    """Make a test database and yield a story: alice signed in, and the apps beside her.

    With `keep` it is left for the next time, which then yields None: all is there already.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    import logging

    from django.test.runner import DiscoverRunner
    from django.test.utils import setup_test_environment

    from tests.support.world import Story, build_world

    logging.disable(logging.WARNING)
    setup_test_environment(debug=False)
    runner = DiscoverRunner(verbosity=0, interactive=False, keepdb=keep)
    # Nobody rolls back to the beginning, and with `keep` that is gigabytes
    databases = runner.setup_databases(serialized_aliases=[])
    from delegation_app.toolkit import application_model

    try:
        if application_model().objects.exists():
            yield None
        else:
            world = build_world()
            yield Story(world, world.alice)
    finally:
        runner.teardown_databases(databases)


def milliseconds(act: Callable[[], object]) -> float:
    """Run it once and return how long it took."""
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1000


def told(name: str, taken: list[float]) -> None:
    """Print the median and the 99th percentile of milliseconds; of a few, the longest."""
    ordered = sorted(taken)
    last = ordered[math.ceil(len(ordered) * 0.99) - 1]
    word = "p99" if len(ordered) >= _ENOUGH else "max"
    print(
        f"{name:58} median {statistics.median(ordered):8.1f} ms  {word} {last:8.1f} ms"
        f"  ({len(ordered)} runs)",
        flush=True,
    )


def in_turn(runs: int, **acts: Callable[[], object]) -> dict[str, list[float]]:
    """Return the milliseconds of each act, run by run; they take turns, so noise meets them all."""
    taken: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(runs):
        for name, act in acts.items():
            taken[name].append(milliseconds(act))
    return taken


def interleaved(runs: int, **acts: Callable[[], object]) -> dict[str, float]:
    """Return the median milliseconds of each act; see `in_turn`."""
    taken = in_turn(runs, **acts)
    return {name: statistics.median(values) for name, values in taken.items()}
