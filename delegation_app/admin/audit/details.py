"""The details of an audit event, as text.

They are JSON of the version that wrote them, so every member is optional.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from delegation_app.admin import constraint_display, labels
from delegation_app.admin.proposals import changed_values
from delegation_app.models import AuditEvent, Delegation
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services import event_counts, name_search
from delegation_app.services.clients import grant_types


def short(event: AuditEvent) -> str:
    """Return a summary in one line without a query, with the number of a counted event."""
    text, times = _gist(event.details), event_counts.times(event)
    if times == 1:
        return text
    counted = ngettext("%(count)d time in a minute", "%(count)d times in a minute", times)
    return ", ".join(filter(None, (text, counted % {"count": times})))


def _gist(details: Mapping[str, Any]) -> str:
    if "change" in details:
        return changed_values.short(details)
    if "before" in details:
        return _("%(before)s → %(after)s") % {
            "before": _terms(details["before"]),
            "after": _terms(details.get("after")),
        }
    if "scope" in details:
        return _terms({name: details.get(name) for name in ("scope", "audience")})
    if "detail" in details:
        return f"{details['detail']} ({details.get('endpoint', '')})"
    if isinstance(ended := details.get("delegations"), int):
        text = ngettext("%(count)d delegation revoked", "%(count)d delegations revoked", ended)
        return text % {"count": ended}
    return str(details.get("user_name", ""))


def why(event: AuditEvent) -> str:
    """Return the reason and the summary."""
    return ": ".join(filter(None, (event.reason, short(event))))


def lines(
    site: AdminSite, request: HttpRequest, event: AuditEvent
) -> list[tuple[str | Promise, str]]:
    """Return a label and a text for each known member, with at most three queries."""
    details = event.details
    is_change = "change" in details
    found: list[tuple[str | Promise, str]] = [
        (label, write(details[name]))
        for name, (label, write) in _WRITERS.items()
        if name in details and not (is_change and name in {"before", "after"})
    ]
    if is_change:
        found += [_field(each) for each in changed_values.of(details)]
    if chain := details.get("chain"):
        found.append((_("Chain"), _chain(site, request, chain)))
    if actors := details.get("actors"):
        found.append((_("Actors, the current one first"), _actors(actors)))
    return [(label, text) for label, text in found if text]


def _field(changed: changed_values.Changed) -> tuple[str | Promise, str]:
    if not changed.before or not changed.after:
        return changed.label, changed.before or changed.after
    return changed.label, f"{changed.before} → {changed.after}"


def _terms(value: Any) -> str:
    if not isinstance(value, Mapping):
        return ""
    words = {
        "scope": value.get("scope") or _("no scopes"),
        "audience": ", ".join(map(str, _list(value.get("audience")))) or _("no resource server"),
        "when": value.get("expires_at"),
    }
    text = _("%(scope)s at %(audience)s")
    if words["when"]:
        text = _("%(scope)s at %(audience)s until %(when)s")
    limited = Constraints.stored(_list(value.get("constraints"))).describe()
    return " ".join([text % words, *(f"({sentence})" for sentence in limited)])


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _constraints(value: Any) -> str:
    return constraint_display.as_list(Constraints.stored(value)) if value else ""


def _chain(site: AdminSite, request: HttpRequest, chain: Any) -> str:
    ids = [found for item in _list(chain) if (found := _as_uuid(item)) is not None]
    rows = Delegation.objects.filter(public_id__in=ids).order_by("depth")
    related = ("principal_user", "principal_client", "delegate")
    return format_html_join(
        " → ",
        "{}",
        (
            (
                labels.link(
                    site, request, row, labels.of_client(row.delegate, row.delegate_client_id)
                ),
            )
            for row in rows.select_related(*related)
        ),
    )


def _as_uuid(item: Any) -> uuid.UUID | None:
    return as_uuid(item, as_typed=True) if isinstance(item, str) else None


def _actors(actors: Any) -> str:
    ids = [str(item.get("client_id", "")) for item in _list(actors) if isinstance(item, Mapping)]
    return labels.listed(ids, name_search.client_names(ids))


def _operator(subject: Any) -> str:
    return labels.with_name(str(subject), labels.of_subjects([str(subject)]))


def _yes(value: Any) -> str:
    return _("yes") if value else ""


_WRITERS: Final[dict[str, tuple[Promise, Callable[[Any], str]]]] = {
    "user_name": (gettext_lazy("User name"), str),
    "grant_type": (gettext_lazy("Grant type"), lambda value: grant_types.label(str(value))),
    "scope": (gettext_lazy("Scopes"), str),
    "audience": (gettext_lazy("Audience"), lambda value: ", ".join(map(str, _list(value)))),
    "constraints": (gettext_lazy("Constraints"), _constraints),
    "before": (gettext_lazy("Before"), _terms),
    "after": (gettext_lazy("After"), _terms),
    "ended": (gettext_lazy("Revoked, without remaining scopes"), lambda value: str(value or "")),
    "subject_jti": (gettext_lazy("Exchanged token"), str),
    "delegations": (gettext_lazy("Delegations revoked"), str),
    "endpoint": (gettext_lazy("Endpoint"), str),
    "detail": (gettext_lazy("Detail"), str),
    "change": (gettext_lazy("Change"), str),
    "resource_server": (gettext_lazy("Resource server"), str),
    "proposal": (gettext_lazy("Proposal"), lambda value: f"#{value}"),
    "proposed_by": (gettext_lazy("Proposed by"), _operator),
    "approved_by": (gettext_lazy("Approved by"), _operator),
    "count": (gettext_lazy("Number of equal events"), str),
    "first_at": (gettext_lazy("First"), str),
    "last_at": (gettext_lazy("Last"), str),
}
