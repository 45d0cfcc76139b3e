"""Actions on delegations, each after one confirmation."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from delegation_app.admin.base import ReadOnlyAdmin, context_of
from delegation_app.admin.blocks import admin, block_text
from delegation_app.admin.confirmation import ConfirmationPage, ask, consequences, offline_seconds
from delegation_app.admin.delegations import summary
from delegation_app.admin.delegations.forms import (
    BulkRevocationForm,
    NarrowingForm,
    RevocationForm,
)
from delegation_app.models import Delegation
from delegation_app.protocol.constraints import InvalidConstraint
from delegation_app.protocol.errors import InvalidRequest, InvalidScope, OAuthError
from delegation_app.services.delegations import blocks, creation, revocation, selection, state
from delegation_app.services.delegations.selection import Preview, preview

_MAX_SHOWN = 20


def revoke(page: ReadOnlyAdmin, request: HttpRequest, delegation: Delegation) -> HttpResponse:
    """Revoke a delegation and everything below it."""
    back = page.url("change", delegation.pk)
    if delegation.revoked_at is not None:
        page.message_user(request, _("It was revoked already."), messages.WARNING)
        return HttpResponseRedirect(back)
    form = RevocationForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        ended = revocation.subtree(
            delegation, context_of(request), reason=form.cleaned_data["reason"]
        )
        show_ended(page, request, ended)
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
    """Revoke the confirmed delegations, or show the confirmation for the selected ones."""
    if "delegations" not in request.POST:
        return _confirm_each(page, request, selected, BulkRevocationForm())
    form = BulkRevocationForm(request.POST)
    if "delegations" in form.errors:
        page.message_user(request, _("Select the delegations again."), messages.ERROR)
        return None
    selected = selected.filter(pk__in=form.cleaned_data["delegations"])
    if not form.is_valid():
        return _confirm_each(page, request, selected, form)
    ended = revocation.revoke_delegations(
        selected, context_of(request), reason=form.cleaned_data["reason"]
    )
    show_ended(page, request, ended)
    return None


def show_ended(page: ReadOnlyAdmin, request: HttpRequest, ended: int) -> None:
    """Show how many delegations ended."""
    if not ended:
        page.message_user(request, _("All of it had ended already."), messages.WARNING)
        return
    text = ngettext("%(count)d delegation ended.", "%(count)d delegations ended.", ended)
    page.message_user(request, text % {"count": ended}, messages.SUCCESS)


def _confirm_each(
    page: ReadOnlyAdmin,
    request: HttpRequest,
    selected: QuerySet[Delegation],
    form: BulkRevocationForm,
) -> HttpResponse | None:
    most = BulkRevocationForm.MOST
    rows = list(selected.filter(revoked_at=None)[: most + 1])
    if not rows or len(rows) > most:
        text = (
            _("At most %(most)d at a time. Filter the list, or disable the client or the user.")
            if rows
            else _("All of it had ended already.")
        )
        page.message_user(request, text % {"most": most}, messages.WARNING)
        return None
    keys = [row.pk for row in rows]
    confirmation = ConfirmationPage(
        title=_("Revoke the selected delegations?"),
        question=_("This immediately ends all of them. It cannot be undone."),
        consequences=[
            *consequences(preview([selection.combined(selected.filter(pk__in=keys))])),
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
    lines = [_("Their clients cannot obtain the same again with other requests or by waiting.")]
    kept = (block_text.until(blocks.of_revocation(row)) for row in rows)
    return [*lines, *dict.fromkeys(kept)]


def _named(rows: list[Delegation]) -> list[str]:
    items = [summary.short(row) for row in rows[:_MAX_SHOWN]]
    if len(rows) > _MAX_SHOWN:
        items.append(_("and %(count)d more") % {"count": len(rows) - _MAX_SHOWN})
    return items


def _posted_back(keys: list[Any]) -> list[tuple[str, str]]:
    # The keys are one field: Django refuses more than a thousand fields. The action selects all of
    # the filtered list, and the keys narrow that down.
    return [
        ("action", "revoke_selected"),
        ("select_across", "1"),
        (ACTION_CHECKBOX_NAME, str(keys[0])),
        ("delegations", ",".join(map(str, keys))),
    ]


def narrow(page: ReadOnlyAdmin, request: HttpRequest, delegation: Delegation) -> HttpResponse:
    """Narrow a delegation and everything below it."""
    back = HttpResponseRedirect(page.url("change", delegation.pk))
    if state.state(delegation) is not Delegation.State.LIVE:
        page.message_user(request, _("Only a live delegation can be narrowed."), messages.WARNING)
        return back
    form = NarrowingForm(delegation, request.POST if request.method == "POST" else None)
    if form.is_valid() and _narrowed(page, request, delegation, form):
        return back
    return ask(page, request, _question(page, delegation, form))


def _narrowed(
    page: ReadOnlyAdmin, request: HttpRequest, delegation: Delegation, form: NarrowingForm
) -> bool:
    standing = selection.subtree(delegation).rows
    before = standing.count()
    try:
        creation.narrow(
            delegation, form.narrowing(), context_of(request), reason=form.cleaned_data["reason"]
        )
    except OAuthError as error:
        field = _field_of(error)
        form.add_error(field if field in form.fields else None, error.description)
        return False
    _tell(page, request, before - standing.count())
    return True


def _field_of(error: OAuthError) -> str | None:
    if isinstance(error, InvalidConstraint):
        return "constraints"
    if isinstance(error, InvalidScope):
        return "scopes"
    # The only other field of this form
    return "expires_at" if isinstance(error, InvalidRequest) else None


def _tell(page: ReadOnlyAdmin, request: HttpRequest, ended: int) -> None:
    page.message_user(request, _("The delegation was narrowed."), messages.SUCCESS)
    if ended > 0:
        text = ngettext(
            "%(count)d delegation below it had nothing left and ended.",
            "%(count)d delegations below it had nothing left and ended.",
            ended,
        )
        page.message_user(request, text % {"count": ended}, messages.WARNING)


def _question(page: ReadOnlyAdmin, delegation: Delegation, form: NarrowingForm) -> ConfirmationPage:
    return ConfirmationPage(
        title=_("Narrow this delegation?"),
        question=_("What you take away is gone immediately and cannot be given back."),
        consequences=_consequences(delegation, preview([selection.subtree(delegation)])),
        button=_("Narrow"),
        back=page.url("change", delegation.pk),
        form=form,
        record=delegation,
        about=" ".join([summary.sentences(delegation)[0], *delegation.constraints.describe()]),
    )


def _consequences(delegation: Delegation, found: Preview) -> list[str]:
    below = found.delegations - 1
    lines = [_("This delegation has no child delegations.")]
    if below > 0:
        text = ngettext(
            "%(count)d delegation below it is narrowed too, and ends if nothing is left of it.",
            "%(count)d delegations below it are narrowed too; those left with nothing end.",
            below,
        )
        lines = [text % {"count": below}]
    text = ngettext(
        "%(count)d live access token allows less at every verifier that introspects.",
        "%(count)d live access tokens allow less at every verifier that introspects.",
        found.access_tokens,
    )
    lines.append(text % {"count": found.access_tokens})
    lines.append(_("A new request of its client on the same terms gets the narrowed delegation."))
    lines.append(_("Other terms, another sign-in or waiting do not bring back what you take away."))
    lines.append(block_text.until(blocks.of_revocation(delegation)))
    if (seconds := offline_seconds(found)) is not None:
        text = ngettext(
            "An offline verifier may accept the old terms of a token for %(count)d second.",
            "An offline verifier may accept the old terms of a token for %(count)d seconds.",
            seconds,
        )
        lines.append(text % {"count": seconds})
    return lines
