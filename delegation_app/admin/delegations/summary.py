"""Descriptions of delegations."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from delegation_app.admin import labels
from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol.claims import client_subject
from delegation_app.services import name_search
from delegation_app.services.delegations.state import State, state


def state_word(of: Delegation.State) -> str:
    """Return a state in one word."""
    return str(of.label).partition(":")[0]


def short(delegation: Delegation) -> str:
    """Return the principal and the client, by name."""
    client = labels.of_client(delegation.delegate, delegation.delegate_client_id)
    return f"{principal(delegation)} → {client}"


def named(record: Model) -> str:
    """Return the principal and the client of a delegation or consent by name."""
    if isinstance(record, Delegation):
        return short(record)
    if isinstance(record, ConsentRecord):
        who = record.subject if record.user is None else record.user.get_username()
        return f"{who} → {record.client_name}"
    return str(record)


def principal(delegation: Delegation) -> str:
    """Return the name of the principal; the subject of a deleted one."""
    if delegation.principal_user is not None:
        return delegation.principal_user.get_username()
    if delegation.principal_client is not None:
        return str(delegation.principal_client)
    return delegation.subject


def acts_for_itself(delegation: Delegation) -> bool:
    """Return whether the client is its own principal."""
    return delegation.subject == client_subject(delegation.delegate_client_id)


def sentences(delegation: Delegation) -> list[str]:
    """Return sentences about the grant, the actors and the state."""
    found = [_granted(delegation), _acting(delegation), _standing(delegation)]
    return [sentence for sentence in found if sentence]


def in_short(delegation: Delegation, services: dict[str, str]) -> str:
    """Return the grant in a sentence, for a list.

    Args:
        delegation: read with its user and clients, and the client of its parent.
        services: names of resource servers by identifier.
    """
    words = {
        "who": labels.cut(principal(delegation)),
        "client": labels.cut(labels.of_client(delegation.delegate, delegation.delegate_client_id)),
        "scopes": ", ".join(delegation.scopes) or _("nothing"),
        "audience": labels.listed(delegation.audience, services) or _("no service"),
    }
    parent = delegation.parent
    if parent is not None and parent.delegate_client_id != delegation.delegate_client_id:
        words["above"] = labels.cut(labels.of_client(parent.delegate, parent.delegate_client_id))
        return (
            _("%(client)s, on behalf of %(who)s through %(above)s: %(scopes)s at %(audience)s")
            % words
        )
    if acts_for_itself(delegation):
        return _("%(client)s, for itself: %(scopes)s at %(audience)s") % words
    return _("%(who)s lets %(client)s do %(scopes)s at %(audience)s") % words


def _granted(delegation: Delegation) -> str:
    words = {
        "who": principal(delegation),
        "client": labels.of_client(delegation.delegate, delegation.delegate_client_id),
        "scopes": ", ".join(delegation.scopes) or _("nothing"),
        "audience": labels.listed(
            delegation.audience, name_search.service_names(delegation.audience)
        )
        or _("no service"),
        "since": _moment(delegation.issued_at),
    }
    parent = delegation.parent
    if parent is not None:
        words["above"] = labels.of_client(parent.delegate, parent.delegate_client_id)
        return _handed_on(delegation, parent) % words
    text = _("Since %(since)s %(who)s lets %(client)s act at %(audience)s with %(scopes)s.")
    if acts_for_itself(delegation):
        text = _("Since %(since)s %(client)s acts for itself at %(audience)s with %(scopes)s.")
    return text % words


def _handed_on(delegation: Delegation, parent: Delegation) -> str:
    if parent.delegate_client_id == delegation.delegate_client_id:
        return _(
            "Since %(since)s %(client)s uses a part of what %(who)s lets it do: at %(audience)s "
            "with %(scopes)s."
        )
    if acts_for_itself(parent):
        return _(
            "Since %(since)s %(client)s passes on what %(above)s does for itself: at %(audience)s "
            "with %(scopes)s."
        )
    return _(
        "Since %(since)s %(client)s passes on what %(who)s lets %(above)s do: at %(audience)s "
        "with %(scopes)s."
    )


def _acting(delegation: Delegation) -> str:
    """Return the current and previous actors; empty for a root."""
    if delegation.parent is None:
        return ""
    if not delegation.actors:
        return _("Its tokens name no actor: only the records here show who uses them.")
    chain = [actor.get("client_id") or actor.get("sub", "") for actor in delegation.actors]
    known = name_search.client_names(chain)
    current, *before = (known.get(actor, actor) for actor in chain)
    words = {"current": current, "who": principal(delegation), "before": ", ".join(before)}
    if before:
        return _("%(current)s acts on behalf of %(who)s; before it acted: %(before)s.") % words
    return _("%(current)s acts on behalf of %(who)s.") % words


def _standing(delegation: Delegation) -> str:
    match state(delegation):
        case State.REVOKED:
            by = labels.with_name(
                delegation.revoked_by, labels.of_subjects([delegation.revoked_by])
            )
            words = {
                "when": _moment(delegation.revoked_at),
                "by": by,
                "reason": delegation.revocation_reason or _("no reason given"),
            }
            return _("Revoked on %(when)s by %(by)s: %(reason)s") % words
        case State.EXPIRED:
            return _("Expired on %(when)s") % {"when": _moment(delegation.expires_at)}
        case State.SUSPENDED:
            return _("Suspended: %(why)s.") % {"why": "; ".join(_stopped_by(delegation))}
        case _:
            if delegation.expires_at is None:
                return _("Live until it is revoked.")
            return _("Live until %(when)s") % {"when": _moment(delegation.expires_at)}


def _stopped_by(delegation: Delegation) -> list[str]:
    """Return which users and clients are disabled, here or above."""
    user = delegation.principal_user
    found = []
    if user is not None and not getattr(user, "is_active", True):
        found.append(_("%(who)s is disabled") % {"who": user.get_username()})
    rows = Delegation.objects.filter(
        public_id__in=delegation.chain, delegate__delegation_policy__enabled=False
    )
    stopped = {row.delegate_client_id: row for row in rows.select_related("delegate")}
    for client_id, row in stopped.items():
        words = {"client": labels.of_client(row.delegate, client_id)}
        if client_id == delegation.delegate_client_id:
            found.append(_("the client %(client)s is disabled") % words)
        else:
            found.append(_("the client %(client)s above it is disabled") % words)
    return found or [_("the user, the client or a client above is disabled")]


def related(
    site: AdminSite, request: HttpRequest, delegation: Delegation
) -> list[tuple[str | Promise, str]]:
    """Return the related records, each as a link if this user may see it."""
    found = (
        (_("User"), delegation.principal_user, principal(delegation)),
        (_("Client"), delegation.delegate, str(delegation.delegate)),
        (_("Consent"), delegation.consent, _("consent record")),
    )
    return [(label, labels.link(site, request, row, text)) for label, row, text in found if row]


def _moment(when: datetime | None) -> str:
    return "" if when is None else date_format(timezone.localtime(when), "DATETIME_FORMAT")


_State = Delegation.State

# Each in a square of 14 units
_PATHS: Final = {
    _State.LIVE: "M7 1a6 6 0 1 0 0 12a6 6 0 1 0 0-12z",
    _State.SUSPENDED: "M2 1h4v12h-4zM8 1h4v12h-4z",
    _State.EXPIRED: "M7 0l7 7l-7 7l-7-7z",
    _State.REVOKED: "M1 3l2-2l4 4l4-4l2 2l-4 4l4 4l-2 2l-4-4l-4 4l-2-2l4-4z",
}


def shape(state: Delegation.State) -> SafeString:
    """Return the path of a state, for an SVG of 14 units a side."""
    return mark_safe(f'<path d="{_PATHS[state]}"/>')  # noqa: S308 - constants


def mark(state: Delegation.State) -> SafeString:
    """Return the state as a shape and a word."""
    return format_html(
        '<span class="delegation-mark delegation-{}">'
        '<svg viewBox="0 0 14 14" width="12" height="12" aria-hidden="true" focusable="false">{}'
        "</svg> {}</span>",
        state.value,
        shape(state),
        state_word(state),
    )
