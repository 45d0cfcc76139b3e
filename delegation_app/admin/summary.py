"""A delegation in words."""

from __future__ import annotations

from datetime import datetime

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from delegation_app.admin import names
from delegation_app.models import Delegation
from delegation_app.protocol.claims import client_subject

_State = Delegation.State


def state(delegation: Delegation) -> Delegation.State:
    """Return the state of a delegation whose query said whether it is in force."""
    if delegation.revoked_at is not None:
        return _State.REVOKED
    if delegation.expires_at is not None and delegation.expires_at <= timezone.now():
        return _State.EXPIRED
    in_force: bool = delegation.is_in_force  # type: ignore[attr-defined]  # annotated by the admin
    return _State.LIVE if in_force else _State.SUSPENDED


def short(delegation: Delegation) -> str:
    """Return who lets whom, by name."""
    client = names.of_client(delegation.delegate, delegation.delegate_client_id)
    return f"{principal(delegation)} → {client}"


def principal(delegation: Delegation) -> str:
    """Return the name of whoever grants; one that was deleted goes by its subject."""
    if delegation.principal_user is not None:
        return delegation.principal_user.get_username()
    if delegation.principal_client is not None:
        return str(delegation.principal_client)
    return delegation.subject


def sentences(delegation: Delegation) -> list[str]:
    """Return who lets whom do what, and how it stands."""
    words = {
        "who": principal(delegation),
        "client": names.of_client(delegation.delegate, delegation.delegate_client_id),
        "scopes": ", ".join(delegation.scopes) or _("nothing"),
        "audience": ", ".join(delegation.audience) or _("no service"),
        "since": _moment(delegation.issued_at),
    }
    if delegation.subject == client_subject(delegation.delegate_client_id):
        first = _("Since %(since)s %(client)s acts for itself at %(audience)s with %(scopes)s.")
    else:
        first = _("Since %(since)s %(who)s lets %(client)s act at %(audience)s with %(scopes)s.")
    return [first % words, _standing(delegation)]


def _standing(delegation: Delegation) -> str:
    match state(delegation):
        case _State.REVOKED:
            by = names.with_name(delegation.revoked_by, names.of_subjects([delegation.revoked_by]))
            words = {
                "when": _moment(delegation.revoked_at),
                "by": by,
                "reason": delegation.revocation_reason or _("no reason given"),
            }
            return _("Revoked on %(when)s by %(by)s: %(reason)s") % words
        case _State.EXPIRED:
            return _("Expired on %(when)s") % {"when": _moment(delegation.expires_at)}
        case _State.SUSPENDED:
            return _("Suspended: the person or the client is disabled.")
        case _:
            if delegation.expires_at is None:
                return _("Live until somebody revokes it.")
            return _("Live until %(when)s") % {"when": _moment(delegation.expires_at)}


def related(
    site: AdminSite, request: HttpRequest, delegation: Delegation
) -> list[tuple[str | Promise, str]]:
    """Return what it comes from, each with a link if this user may see it."""
    found = (
        (_("Person"), delegation.principal_user, principal(delegation)),
        (_("Client"), delegation.delegate, str(delegation.delegate)),
        (_("Consent"), delegation.consent, _("what was asked and answered")),
        (_("Made from"), delegation.parent, str(delegation.parent)),
    )
    return [(label, names.link(site, request, row, text)) for label, row, text in found if row]


def _moment(when: datetime | None) -> str:
    return "" if when is None else date_format(timezone.localtime(when), "DATETIME_FORMAT")
