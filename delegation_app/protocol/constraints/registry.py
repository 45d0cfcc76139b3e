"""The registry of constraint types. Other types are refused."""

from __future__ import annotations

import re
from typing import TypeVar

from delegation_app.protocol.constraints.base import Constraint

REGISTRY: dict[str, type[Constraint]] = {}
"""Every installed constraint class by its `TYPE`."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_C = TypeVar("_C", bound=type[Constraint])


def install(cls: _C) -> _C:
    """Register a constraint class and return it; also usable as a decorator.

    Raises:
        ValueError: its `TYPE` is malformed, or taken by another class.
    """
    if not _NAME.fullmatch(cls.TYPE):
        raise ValueError(f"{cls.TYPE!r} is not a constraint type: [a-z][a-z0-9_]* is expected")
    if REGISTRY.setdefault(cls.TYPE, cls) is not cls:
        raise ValueError(f"the constraint type {cls.TYPE!r} is already taken")
    return cls
