"""What large trees of delegations cost to revoke, to preview, to add to and to judge.

Run: python -m benchmarks.trees [--help]

Set TEST_DATABASE_URL for PostgreSQL. Every revocation is committed; the undoing of it, which no
service does, is not timed.
"""

import argparse
from typing import Any

from benchmarks import database, judging
from benchmarks.stage import in_turn, milliseconds, staged, told
from tests.support import forest

_LEVELS = 5
_HELD_IN_EACH_TREE = 10


def wide(story: Any, sizes: argparse.Namespace) -> None:
    """Revoke a root with many children, over and over, and many such roots once each."""
    from delegation_app.models import AccessToken, Delegation
    from tests.support.world import delegation_of

    service = story.world.service_a_client.row
    top = delegation_of(story.tokens(prompt="consent"))
    forest.plant(top, sizes.runs, "wide")
    fresh = list(Delegation.objects.filter(depth=0, consent=top.consent_id).exclude(pk=top.pk))
    forest.grow(Delegation.objects.filter(consent=top.consent_id), sizes.children, service)
    tree = Delegation.objects.filter(root=top.root_id)
    like = AccessToken.objects.get(delegation=top)
    forest.hang_tokens(like, tree, sizes.tokens // (sizes.children + 1))
    database.tidy()

    before, again = forest.versions(AccessToken), []
    for _ in range(sizes.runs):
        again.append(_revoked(top))
        database.restore(tree)
    told(f"revoke {sizes.children} children, {sizes.tokens} tokens", again)
    _once_each(top, fresh, sizes)
    same = before == forest.versions(AccessToken)
    print(f"    access tokens: {before[0]}, {'none of them' if same else 'SOME'} written")


def _once_each(like: Any, roots: list[Any], sizes: argparse.Namespace) -> None:
    from delegation_app.models import Delegation

    # Beside trees of one row: what those take at worst is the machine's doing, not the tree's
    forest.plant(like, sizes.runs, "lone")
    lone = list(Delegation.objects.filter(consent=like.consent_id, children=None, depth=0))
    once, alone = [], []
    with database.hot_updates() as share:
        for root, single in zip(roots, lone, strict=True):
            once.append(_revoked(root))
            alone.append(_revoked(single))
    told(f"revoke {sizes.children} children, each tree once{share}", once)
    told("    beside it: revoke a root without children", alone)


def deep(story: Any, sizes: argparse.Namespace) -> None:
    """Revoke a root with descendants on several levels."""
    from delegation_app.models import Delegation
    from tests.support.world import delegation_of

    top = delegation_of(story.tokens(prompt="consent"))
    tree = Delegation.objects.filter(root=top.root_id)
    clients = (story.world.service_a_client.row, story.world.service_b_client.row)
    each = round(sizes.descendants ** (1 / _LEVELS))
    for level in range(_LEVELS):
        forest.grow(tree.filter(depth=level), each, clients[level % 2])
    database.tidy()
    taken = []
    for _ in range(sizes.few_runs):
        with database.hot_updates() as share:
            taken.append(_revoked(top))
        database.restore(tree)
    told(f"revoke {tree.count() - 1} descendants on {_LEVELS} levels{share}", taken)


def whole(story: Any, sizes: argparse.Namespace) -> None:
    """Preview and revoke everything of a person, and everything of a service."""
    from delegation_app.models import AccessToken, Delegation
    from tests.support.world import delegation_of

    service, person = story.world.service_a_client.row, story.world.alice
    first = delegation_of(story.tokens(prompt="consent"))
    trees = Delegation.objects.filter(consent=first.consent_id)
    forest.plant(first, sizes.trees - 1, "whole")
    forest.grow(trees.filter(depth=0), _HELD_IN_EACH_TREE, service)
    each = sizes.tokens // trees.count()
    forest.hang_tokens(AccessToken.objects.get(delegation=first), trees, each)
    database.tidy()
    # Nothing else of theirs, so that the figures are about these trees
    Delegation.objects.exclude(consent=first.consent_id).update(principal_user=None, delegate=None)
    size = f"{sizes.trees} trees, {trees.count()} delegations"

    _ended("of_user", person, f"all of a person: {size}", trees, sizes)
    _ended("of_client", service, f"all of a service in these {sizes.trees} trees", trees, sizes)


def _ended(what: str, whose: object, name: str, trees: Any, sizes: argparse.Namespace) -> None:
    from delegation_app.services import audit
    from delegation_app.services.delegations import revocation, selection
    from delegation_app.services.delegations.selection import preview

    def ask() -> None:
        preview([getattr(selection, what)(whose)])

    def end() -> None:
        getattr(revocation, what)(whose, audit.RequestContext(), reason="benchmark")

    told(f"preview {name}, {sizes.tokens} tokens", in_turn(sizes.few_runs, it=ask)["it"])
    taken = []
    for _ in range(sizes.few_runs):
        taken.append(milliseconds(end))
        database.restore(trees)
    told(f"revoke {name}", taken)


def _revoked(top: Any) -> float:
    from delegation_app.services import audit
    from delegation_app.services.delegations import revocation

    return milliseconds(lambda: revocation.subtree(top, audit.RequestContext(), reason="benchmark"))


_MEASUREMENTS = {
    "wide": wide,
    "deep": deep,
    "whole": whole,
    "exchange": judging.exchange,
    "introspection": judging.introspection,
}


def main() -> None:
    """Measure what was asked for, and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.trees", description=__doc__)
    parser.add_argument(
        "measurement", nargs="*", help=f"of {', '.join(_MEASUREMENTS)}; all if none"
    )
    parser.add_argument("--children", type=int, default=1000, help="of one root")
    parser.add_argument("--descendants", type=int, default=100_000, help="of the deep tree")
    parser.add_argument("--trees", type=int, default=10_000, help="of one person")
    parser.add_argument("--tokens", type=int, default=1_000_000, help="in the tree or the trees")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--few-runs", type=int, default=5, help="of what takes seconds")
    parser.add_argument(
        "--fillfactor", type=int, help="of the table of delegations; PostgreSQL's own is 100"
    )
    sizes = parser.parse_args()
    unknown = set(sizes.measurement) - _MEASUREMENTS.keys()
    if unknown:
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    with staged() as story:
        if sizes.fillfactor:
            database.fill(sizes.fillfactor)
        for name in sizes.measurement or _MEASUREMENTS:
            _MEASUREMENTS[name](story, sizes)


if __name__ == "__main__":
    main()
