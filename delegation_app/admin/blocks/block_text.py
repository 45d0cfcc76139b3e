"""Descriptions of blocks: what they bind, for which principal, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from delegation_app.models import DelegationBlock
from delegation_app.protocol.claims import client_subject


def sentence(block: DelegationBlock, names: Mapping[str, str]) -> str:
    """Return what a block binds, in a sentence for operators.

    Args:
        block: stored or not.
        names: of subjects, of clients by client id, and of resource servers by identifier.
    """
    client_id, subject = block.client_id_value, block.subject
    words = {
        "client": names.get(client_id, client_id),
        "who": names.get(subject, subject) or _("any user"),
        "scopes": ", ".join(block.scopes),
        "where": ", ".join(names.get(one, one) for one in block.audience or ()),
        "limits": " ".join(_limits(block)),
    }
    is_itself = subject == client_subject(client_id) and bool(client_id)
    return _template(block, is_itself=is_itself, has_client=bool(client_id)) % words


def until(block: DelegationBlock) -> str:
    """Return until when a block binds, in a sentence for operators."""
    if block.subject == client_subject(block.client_id_value):
        return _("This holds until an operator lifts the block.")
    return _("This holds until the user allows it again on a page, or an operator lifts the block.")


def overcome(when: datetime) -> str:
    """Return since when a block no longer binds because the user has allowed the access again."""
    return _("Allowed again on %(day)s") % {"day": _day(when)}


def lifted(when: datetime) -> str:
    """Return when an operator lifted a block."""
    return _("Lifted on %(day)s") % {"day": _day(when)}


def _day(when: datetime) -> str:
    return date_format(timezone.localtime(when), "DATETIME_FORMAT")


def _template(block: DelegationBlock, *, is_itself: bool, has_client: bool) -> str:
    if block.everything and not has_client:
        return _("No client can obtain a delegation of %(who)s until the user allows it again.")
    if is_itself:
        return _for_itself(block)
    if block.everything:
        return _(
            "%(client)s cannot obtain any delegation of %(who)s until the user allows it again."
        )
    if block.is_limit:
        return _(
            "%(client)s can obtain %(scopes)s of %(who)s at %(where)s only within limits: "
            "%(limits)s"
        )
    return _(
        "%(client)s cannot obtain %(scopes)s of %(who)s at %(where)s until the user allows it "
        "again."
    )


def _for_itself(block: DelegationBlock) -> str:
    if block.everything:
        return _("%(client)s cannot obtain any delegation for itself.")
    if block.is_limit:
        return _("%(client)s can obtain %(scopes)s at %(where)s only within limits: %(limits)s")
    return _("%(client)s cannot obtain %(scopes)s at %(where)s for itself.")


def _limits(block: DelegationBlock) -> list[str]:
    limits = block.constraints.describe()
    if block.ends_at is not None:
        limits.append(_("Ends on %(day)s") % {"day": _day(block.ends_at)})
    return limits
