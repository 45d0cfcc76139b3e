"""Throw junk for a while, and look at the memory: `python -m tests.fuzz --seconds 60`."""

import argparse
import itertools
import logging
import resource
import sys
import time

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import TARGETS

# Of one round; the next has another seed
EXAMPLES = 200
# What hypothesis keeps of its own grows a little; a reader that keeps junk grows without end
MOST_GROWTH = 100 * 1024

PROFILE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def rounds(seconds, first):
    """Yield the number of each round until the time is over, at least one."""
    give_up = time.monotonic() + seconds
    for number in itertools.count(first):
        yield number
        if time.monotonic() > give_up:
            return


def throw(number):
    """Throw one round at every target."""
    for target, strategies in TARGETS.items():
        seed(number)(PROFILE(given(*strategies)(target)))()


def kibibytes():
    """Return the most memory that this process ever had."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


def main():
    """Read the arguments, and throw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first round")
    asked = parser.parse_args()
    # Each refused list is a warning
    logging.disable(logging.CRITICAL)
    print(f"first seed {asked.seed}", flush=True)
    throw(asked.seed)
    before, done = kibibytes(), 1
    for number in rounds(asked.seconds, asked.seed + 1):
        throw(number)
        done += 1
    growth = kibibytes() - before
    thrown = done * EXAMPLES * len(TARGETS)
    print(f"{thrown} pieces of junk, memory grew by {growth} KiB")
    if growth > MOST_GROWTH:
        sys.exit(f"memory grew by more than {MOST_GROWTH} KiB")


if __name__ == "__main__":
    main()
