"""resource_path: the methods and paths that a delegation permits at a resource server."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self
from urllib.parse import unquote

from delegation_app.protocol.constraints.base import (
    AccessContext,
    Constraint,
    EnforcementPoint,
    InvalidConstraint,
    check_members,
    listed,
    objects,
    strings,
)

ANY: Final = "*"
MAX_PERMITS: Final = 100
MAX_LENGTH: Final = 4096
_DECODINGS: Final = 4

# RFC 9110 section 16.1.1: the registered methods are uppercase letters, some with a hyphen
_METHOD = re.compile(r"[A-Z][A-Z0-9_-]{0,39}|\*")
# Servers, proxies and frameworks resolve these differently: path parameters, empty and dot
# segments, escapes of either, and characters that end a path or are invalid in one.
_AMBIGUOUS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\\;?#]|//|%(?:2e|2f|5c)|/\.{1,2}(?=/|\Z)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, order=True)
class _Permit:
    """One method below one prefix."""

    prefix: str
    method: str

    def covers(self, other: _Permit) -> bool:
        return self.method in (ANY, other.method) and _is_under(other.prefix, self.prefix)

    def intersection(self, other: _Permit) -> list[_Permit]:
        if _is_under(self.prefix, other.prefix):
            prefix = self.prefix
        elif _is_under(other.prefix, self.prefix):
            prefix = other.prefix
        else:
            return []
        if self.method == ANY:
            return [_Permit(prefix, other.method)]
        return [_Permit(prefix, self.method)] if other.method in (ANY, self.method) else []


@dataclass(frozen=True, slots=True)
class ResourcePath(Constraint):
    """Permits of which none covers another, in order. A request needs one."""

    TYPE: ClassVar[str] = "resource_path"
    ENFORCED_AT: ClassVar[frozenset[EnforcementPoint]] = frozenset({EnforcementPoint.RESOURCE})

    permits: tuple[_Permit, ...]

    @classmethod
    def parse(cls, members: Mapping[str, object]) -> Self:
        """Read `rules`, an array of objects with `methods` and `prefixes`.

        A prefix covers itself and everything below it, by whole segments; a trailing slash is
        ignored. It is written without percent-encoding.

        Raises:
            InvalidConstraint: the members are not as described.
        """
        check_members(cls.TYPE, members, required=["rules"])
        rules = objects(cls.TYPE, "rules", members["rules"], limit=MAX_PERMITS)
        return cls(_canonical(permit for rule in rules for permit in _parse_rule(rule)))

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object, with one rule for all prefixes that have the same methods."""
        return {
            "type": self.TYPE,
            "rules": [
                {"methods": list(methods), "prefixes": prefixes}
                for methods, prefixes in self._rules()
            ],
        }

    def narrowed(self, parent: Self) -> Self:
        """Return the intersection.

        Raises:
            InvalidConstraint: it is empty or too large.
        """
        pairs = ((own, other) for own in self.permits for other in parent.permits)
        both = _canonical(permit for own, other in pairs for permit in own.intersection(other))
        if not both:
            raise InvalidConstraint("resource_path: no path would be left.")
        return type(self)(both)

    def refusal(self, access: AccessContext) -> str | None:
        """Permit a request whose method and path are known, unambiguous, and in one permit."""
        if access.path is None or access.method is None:
            return "It may not be used without a known method and path."
        if is_ambiguous(access.path):
            return "It may not be used with an ambiguous path."
        wanted = _Permit(access.path, access.method)
        if access.method and any(permit.covers(wanted) for permit in self.permits):
            return None
        return "It may not be used with this method and path."

    def describe(self) -> str:
        rules = (
            f"{'every method' if ANY in methods else listed(methods)} under {listed(prefixes)}"
            for methods, prefixes in self._rules()
        )
        return f"Only {'; '.join(rules)}."

    def _rules(self) -> list[tuple[tuple[str, ...], list[str]]]:
        methods: defaultdict[str, list[str]] = defaultdict(list)
        for permit in self.permits:
            methods[permit.prefix].append(permit.method)
        rules: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        for prefix, names in methods.items():
            rules[tuple(names)].append(prefix)
        return sorted(rules.items())


def is_ambiguous(path: str) -> bool:
    """Whether two programs could resolve `path` to different resources.

    Args:
        path: as received, or after one percent-decoding.
    """
    if not path.startswith("/") or len(path) > MAX_LENGTH:
        return True
    for _ in range(_DECODINGS):
        if _AMBIGUOUS.search(path):
            return True
        try:
            decoded = unquote(path, errors="strict")
        # Overlong forms such as %c0%ae hide a dot from a search for %2e
        except UnicodeDecodeError:
            return True
        if decoded == path:
            return False
        path = decoded
    return True


def _is_under(path: str, prefix: str) -> bool:
    return prefix in ("/", path) or path.startswith(f"{prefix}/")


def _parse_rule(rule: dict[str, object]) -> list[_Permit]:
    kind = ResourcePath.TYPE
    check_members(kind, rule, required=["methods", "prefixes"], nested=True)
    methods = strings(kind, "methods", rule["methods"], limit=MAX_PERMITS)
    prefixes = strings(kind, "prefixes", rule["prefixes"], limit=MAX_PERMITS)
    if not all(_METHOD.fullmatch(method) for method in methods):
        raise InvalidConstraint("resource_path: a method must be an uppercase token or *.")
    # Users read prefixes before they consent, so nothing in one may be invisible
    if any(is_ambiguous(text) or "%" in text or not text.isprintable() for text in prefixes):
        raise InvalidConstraint(
            "resource_path: a prefix must start with / and be free of dot segments, empty"
            " segments, parameters, percent-encoding and unprintable characters."
        )
    # Before multiplying and comparing, which are quadratic
    if len(methods) * len(prefixes) > MAX_PERMITS:
        raise _too_many()
    return [_Permit(prefix.rstrip("/") or "/", name) for prefix in prefixes for name in methods]


def _canonical(permits: Iterable[_Permit]) -> tuple[_Permit, ...]:
    kept: list[_Permit] = []
    # A prefix sorts before what lies below it, and "*" before every method.
    for permit in sorted(set(permits)):
        if not any(other.covers(permit) for other in kept):
            kept.append(permit)
        if len(kept) > MAX_PERMITS:
            raise _too_many()
    return tuple(kept)


def _too_many() -> InvalidConstraint:
    return InvalidConstraint(
        f"resource_path: more than {MAX_PERMITS} combinations of method and prefix."
    )
