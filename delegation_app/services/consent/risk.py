"""The harm that a scope can do, as the site has rated it."""

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
        """The name of the level for users."""
        return _LABELS[self]


_LABELS: dict[Risk, Promise] = {
    Risk.LOW: _("low risk"),
    Risk.MEDIUM: _("medium risk"),
    Risk.HIGH: _("high risk"),
}


def of(name: str) -> Risk:
    """Return the risk of a scope: medium for an unrated scope or an unknown rating."""
    level = conf.scope_risks.get(name)
    return Risk(level) if level in RISKS else Risk.MEDIUM


def risky(scope: Scope) -> Scope:
    """Return the scopes of high risk: never preselected, and subject to approval if required."""
    return Scope(name for name in scope if of(name) is Risk.HIGH)
