"""Constraints: the limits of a delegation beyond scope and audience.

A delegation has a list of constraints, all of which apply. A child's list is its parent's narrowed
by its own, so a list is always complete.

A new type is one file beside this one and one line in the tuple below. A type of another package
calls `install` before the first constraint is read.
"""

from __future__ import annotations

from typing import Final

from delegation_app.protocol.constraints.base import (
    AccessContext,
    Constraint,
    EnforcementPoint,
    InvalidConstraint,
)
from delegation_app.protocol.constraints.collection import Constraints, parse_text
from delegation_app.protocol.constraints.ip_range import IpRange
from delegation_app.protocol.constraints.max_depth import MaxDepth
from delegation_app.protocol.constraints.max_uses import MaxUses
from delegation_app.protocol.constraints.registry import REGISTRY, install
from delegation_app.protocol.constraints.resource_path import ResourcePath
from delegation_app.protocol.constraints.resource_servers import ResourceServers
from delegation_app.protocol.constraints.time_window import TimeWindow

BUILT_IN: Final[tuple[type[Constraint], ...]] = (
    IpRange,
    MaxDepth,
    MaxUses,
    ResourcePath,
    ResourceServers,
    TimeWindow,
)

for _class in BUILT_IN:
    install(_class)

__all__ = [
    "BUILT_IN",
    "REGISTRY",
    "AccessContext",
    "Constraint",
    "Constraints",
    "EnforcementPoint",
    "InvalidConstraint",
    "install",
    "parse_text",
]
