"""The dashboard of the start page: the last 24 hours as bars, and problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from delegation_app.admin import labels
from delegation_app.models import AuditEvent, Delegation, SigningKey
from delegation_app.services.reporting import metrics
from delegation_app.services.reporting.metrics import Traffic

_HEIGHT: Final = 32
_LABELS: Final[dict[str, Promise]] = {
    "issued": gettext_lazy("Issued"),
    "refused": gettext_lazy("Refused"),
    "exchanged": gettext_lazy("Exchanged"),
    "revoked": gettext_lazy("Revoked"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """The bar of an hour, in SVG units: its upper left corner, and its height."""

    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the dashboard.

    Attributes:
        label: what it counts.
        text: the figure.
        bars: one per hour, if any.
        said: a text alternative for the bars.
        url: of the list behind it, if the user may see that list.
        is_bad: whether it counts failures.
    """

    label: str | Promise
    text: str
    bars: Sequence[Bar] = ()
    said: str = ""
    url: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The figures, the problems, and a note on omitted parts."""

    figures: Sequence[Figure]
    warnings: Sequence[str]
    note: str = ""


def of(site: AdminSite, request: HttpRequest) -> Dashboard | None:
    """Return the parts of the dashboard that this user may see; None if there are none."""
    figures, warnings, note = [], [], ""
    if labels.may_see(site, request, AuditEvent):
        found = metrics.traffic()
        figures += [_bars(name, found) for name in _LABELS]
        note = _cut(found)
        if metrics.many_refused(found):
            warnings.append(_("Far more requests are refused than usual. Check the audit events."))
    if labels.may_see(site, request, Delegation):
        figures.append(_live(site, request))
    if labels.may_see(site, request, SigningKey):
        key, wrong = _key(site, request)
        figures.append(key)
        warnings += wrong
    if not figures:
        return None
    if not metrics.cache_answers():
        warnings.append(
            _("The cache does not respond: attempts to guess secrets are counted per process only.")
        )
    return Dashboard(figures, warnings, note)


def _bars(name: str, found: Traffic) -> Figure:
    hours = found.hours[name]
    highest = max(hours)
    heights = [-(-count * _HEIGHT // highest) if highest else 0 for count in hours]
    said = ngettext(
        "%(count)d in 24 hours; at most %(most)d in an hour, %(now)d in this one",
        "%(count)d in 24 hours; at most %(most)d in an hour, %(now)d in this one",
        sum(hours),
    ) % {"count": sum(hours), "most": highest, "now": hours[-1]}
    bars = [Bar(5 * number, _HEIGHT - high, high) for number, high in enumerate(heights)]
    text = f"{sum(hours):,}" + ("+" if found.is_cut else "")
    return Figure(_LABELS[name], text, bars, said, is_bad=name == "refused")


def _cut(found: Traffic) -> str:
    if not found.is_cut:
        return ""
    when = timezone.localtime(found.since)
    return _("Showing the latest %(most)s events (since %(hour)s).") % {
        "most": f"{metrics.MAX_EVENTS:,}",
        "hour": f"{when:%H:%M}",
    }


def _live(site: AdminSite, request: HttpRequest) -> Figure:
    found = metrics.live()
    url = labels.list_address(site, request, Delegation, state="live")
    return Figure(_("Live delegations"), str(found), url=url)


def _key(site: AdminSite, request: HttpRequest) -> tuple[Figure, list[str]]:
    found = metrics.signing()
    warnings = [
        _("The key %(kid)s cannot be decrypted. Was SECRET_KEY changed?") % {"kid": kid}
        for kid in found.unreadable
    ]
    text = _("none yet")
    if found.activated_at is not None:
        text = timesince(found.activated_at, depth=1)
    else:
        warnings.append(_("There is no signing key yet. The first token creates one."))
    url = labels.list_address(site, request, SigningKey)
    return Figure(_("Age of the signing key"), text, url=url), warnings
