"""What can be done to delegations, each after one question."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from delegation_app.admin.base import ReadOnlyAdmin
from delegation_app.admin.blocks import admin
from delegation_app.admin.confirmation import ConfirmationPage, ask, consequences
from delegation_app.admin.delegations import summary
from delegation_app.admin.delegations.forms import (
    BulkRevocationForm,
    RevocationForm,
)
from delegation_app.admin.origin import context_of
from delegation_app.models import Delegation
from delegation_app.services.delegations import block_text, blocks, revocation, selection
from delegation_app.services.delegations.preview import preview

_SHOWN = 20


def revoke(page: ReadOnlyAdmin, request: HttpRequest, delegation: Delegation) -> HttpResponse:
    """Revoke a delegation and what was made from it."""
    back = page.url("change", delegation.pk)
    if delegation.revoked_at is not None:
        page.message_user(request, _("It was revoked already."), messages.WARNING)
        return HttpResponseRedirect(back)
    form = RevocationForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        ended = revocation.subtree(
            delegation, context_of(request), reason=form.cleaned_data["reason"]
        )
        tell_ended(page, request, ended)
        return HttpResponseRedirect(back)
    confirmation = ConfirmationPage(
        title=_("Revoke this delegation?"),
        question=_what_follows(delegation),
        consequences=[
            *consequences(preview([selection.subtree(delegation)])),
            *admin.bindings(blocks.of_revocation(delegation)),
        ],
        button=_("Revoke"),
        back=back,
        form=form,
        record=delegation,
        about=summary.sentences(delegation)[0],
    )
    return ask(page, request, confirmation)


def revoke_each(
    page: ReadOnlyAdmin, request: HttpRequest, selected: QuerySet[Delegation]
) -> HttpResponse | None:
    """Revoke those delegations that the page before named, or ask about the selected ones."""
    if "delegations" not in request.POST:
        return _ask_about_each(page, request, selected, BulkRevocationForm())
    form = BulkRevocationForm(request.POST)
    if "delegations" in form.errors:
        page.message_user(request, _("Select the delegations again."), messages.ERROR)
        return None
    selected = selected.filter(pk__in=form.cleaned_data["delegations"])
    if not form.is_valid():
        return _ask_about_each(page, request, selected, form)
    ended = revocation.each(selected, context_of(request), reason=form.cleaned_data["reason"])
    tell_ended(page, request, ended)
    return None


def tell_ended(page: ReadOnlyAdmin, request: HttpRequest, ended: int) -> None:
    """Tell how many delegations ended."""
    if not ended:
        page.message_user(request, _("All of it had ended already."), messages.WARNING)
        return
    text = ngettext("%(count)d delegation ended.", "%(count)d delegations ended.", ended)
    page.message_user(request, text % {"count": ended}, messages.SUCCESS)


def _ask_about_each(
    page: ReadOnlyAdmin,
    request: HttpRequest,
    selected: QuerySet[Delegation],
    form: BulkRevocationForm,
) -> HttpResponse | None:
    most = BulkRevocationForm.MOST
    rows = list(selected.filter(revoked_at=None)[: most + 1])
    if not rows or len(rows) > most:
        text = (
            _("At most %(most)d at a time. Filter the list, or disable the client or the person.")
            if rows
            else _("All of it had ended already.")
        )
        page.message_user(request, text % {"most": most}, messages.WARNING)
        return None
    keys = [row.pk for row in rows]
    confirmation = ConfirmationPage(
        title=_("Revoke the selected delegations?"),
        question=_("This ends all of them at once and can't be undone."),
        consequences=[
            *consequences(preview([selection.together(selected.filter(pk__in=keys))])),
            *_stays_ended(rows),
        ],
        button=_("Revoke"),
        back=request.get_full_path(),
        form=form,
        items=_named(rows),
        hidden=_posted_back(keys),
    )
    return ask(page, request, confirmation)


def _what_follows(delegation: Delegation) -> str:
    if delegation.parent is not None:
        return _(
            "This ends it and everything below it immediately. The delegation above it goes on. "
            "It cannot be undone."
        )
    return _("This ends it immediately. It cannot be undone.")


def _stays_ended(rows: list[Delegation]) -> list[str]:
    lines = [_("None of their clients can obtain the same again by asking differently or waiting.")]
    kept = (block_text.until(blocks.of_revocation(row)) for row in rows)
    return [*lines, *dict.fromkeys(kept)]


def _named(rows: list[Delegation]) -> list[str]:
    items = [summary.short(row) for row in rows[:_SHOWN]]
    if len(rows) > _SHOWN:
        items.append(_("and %(count)d more") % {"count": len(rows) - _SHOWN})
    return items


def _posted_back(keys: list[Any]) -> list[tuple[str, str]]:
    # The keys go as one field: Django refuses more than a thousand fields. The list itself is asked
    # for all that its filters show, and the keys narrow that down.
    return [
        ("action", "revoke_selected"),
        ("select_across", "1"),
        (ACTION_CHECKBOX_NAME, str(keys[0])),
        ("delegations", ",".join(map(str, keys))),
    ]
