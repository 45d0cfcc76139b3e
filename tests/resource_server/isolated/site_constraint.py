"""A constraint of a site's own."""

from dataclasses import dataclass
from typing import ClassVar

from delegation_app.protocol.constraints import Constraint, EnforcementPoint


@dataclass(frozen=True, slots=True)
class FullMoon(Constraint):
    TYPE: ClassVar[str] = "full_moon"
    ENFORCED_AT: ClassVar[frozenset[EnforcementPoint]] = frozenset({EnforcementPoint.RESOURCE})

    @classmethod
    def parse(cls, members):
        return cls()

    def as_json(self):
        return {"type": self.TYPE}

    def narrowed(self, parent):
        return self

    def refusal(self, access):
        return "It may only be used at full moon."

    def describe(self):
        return "Only at full moon."
