"""The checklist, the markers in the tests, and the requirements that are knowingly left open.

Markers are read from the source, not collected, so the answer does not depend on which tests run.
"""

import ast
import functools
import json
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parent

GROUPS = frozenset(
    {
        "GEN", "CA", "AZ", "PK", "TK", "CC", "RT", "TX", "RI", "AT", "RV", "IN", "MD", "DV", "IS",
        "OT", "BC", "DG", "RS", "BR", "PR", "SL",
    }
)  # fmt: skip

# Here the project's own policies are as binding as what a specification demands.
POLICIES = frozenset({"TX", "RI", "DG", "RS", "SL"})


@functools.cache
def requirements() -> dict[str, str]:
    """The level of every requirement, by id."""
    groups = json.loads((HERE / "checklist.json").read_text(encoding="utf-8"))["groups"]
    return {entry["id"]: entry["level"] for group in groups for entry in group["reqs"]}


def demanded() -> set[str]:
    """The requirements that need a test: every MUST of the groups, however it is qualified.

    Of the groups in `POLICIES`, what is our own policy as well.
    """
    return {
        requirement for requirement, level in requirements().items() if _binds(requirement, level)
    }


def _binds(requirement: str, level: str) -> bool:
    group, _, _ = requirement.partition("-")
    return (group in GROUPS and "MUST" in level) or (group in POLICIES and "POLICY" in level)


def exceptions() -> dict[str, str]:
    """The reason for each requirement that has no test."""
    return dict(
        json.loads(
            (HERE / "exceptions.json").read_text(encoding="utf-8"),
            object_pairs_hook=_without_duplicates,
        )
    )


def markers() -> dict[str, list[str]]:
    """Where each requirement is marked as shown."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for requirement, line in _marked(tree):
            found.setdefault(requirement, []).append(f"{path.relative_to(TESTS)}:{line}")
    return found


def _marked(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.conformance"):
            continue
        for argument in node.args:
            if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                raise TypeError(f"line {node.lineno}: conformance ids are written out as strings")
            yield argument.value, node.lineno


def _without_duplicates(pairs: list[tuple[str, str]]) -> dict[str, str]:
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError("an id stands twice in exceptions.json")
    return dict(pairs)
