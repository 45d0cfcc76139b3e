"""The strip of the start page: the last day as small bars, and what is wrong."""

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
    """An hour: where its bar begins, from the left and from the top, and how high it is."""

    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of the strip.

    Attributes:
        label: what it counts.
        text: the figure.
        bars: an hour each, if it has any.
        said: what the bars show, in words.
        url: the list behind it, if the user may see that.
        is_bad: whether it counts something bad.
    """

    label: str | Promise
    text: str
    bars: Sequence[Bar] = ()
    said: str = ""
    url: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Strip:
    """All figures, what is wrong, and what was left out."""

    figures: Sequence[Figure]
    warnings: Sequence[str]
    note: str = ""


def of(site: AdminSite, request: HttpRequest) -> Strip | None:
    """Return the strip with what this user may see; None if that is nothing."""
    figures, warnings, note = [], [], ""
    if labels.may_see(site, request, AuditEvent):
        found = metrics.traffic()
        figures += [_bars(name, found) for name in _LABELS]
        note = _cut(found)
        if metrics.many_refused(found):
            warnings.append(_("Much more is refused than usual. Look at the audit events."))
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
            _("The cache does not answer: attempts to guess secrets are not counted everywhere.")
        )
    return Strip(figures, warnings, note)


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
    return _("There was much: only the newest %(most)d events were counted, from %(hour)s on.") % {
        "most": metrics.MOST_EVENTS,
        "hour": f"{when:%H:%M}",
    }


def _live(site: AdminSite, request: HttpRequest) -> Figure:
    found = metrics.live()
    text = f"{found.count:,}" + ("" if found.is_all else "+")
    url = labels.list_address(site, request, Delegation, state="live")
    return Figure(_("Live delegations"), text, url=url)


def _key(site: AdminSite, request: HttpRequest) -> tuple[Figure, list[str]]:
    found = metrics.signing()
    warnings = [
        _("The key %(kid)s can't be decrypted: was the site's secret changed?") % {"kid": kid}
        for kid in found.unreadable
    ]
    text = _("none yet")
    if found.activated_at is not None:
        text = timesince(found.activated_at, depth=1)
    else:
        warnings.append(_("No key signs yet. The first token makes one."))
    url = labels.list_address(site, request, SigningKey)
    return Figure(_("Age of the signing key"), text, url=url), warnings
