"""How much harm a scope can do, as the site has judged it."""

from __future__ import annotations

from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from delegation_app.conf import RISKS, conf
from delegation_app.protocol.scope import Scope


class Risk(StrEnum):
    """The levels of the setting SCOPE_RISKS."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def label(self) -> Promise:
        """What people read."""
        return _LABELS[self]


_LABELS: dict[Risk, Promise] = {
    Risk.LOW: _("low risk"),
    Risk.MEDIUM: _("medium risk"),
    Risk.HIGH: _("high risk"),
}


def of(name: str) -> Risk:
    """Return the risk of a scope: medium if the site has not judged it, or not in our words."""
    level = conf.scope_risks.get(name)
    return Risk(level) if level in RISKS else Risk.MEDIUM


def risky(scope: Scope) -> Scope:
    """Return the scopes of high risk: never ticked beforehand, and maybe to be confirmed."""
    return Scope(name for name in scope if of(name) is Risk.HIGH)
