"""What can be done to delegations, each after one question."""

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
from delegation_app.services.delegations.preview import Preview, preview

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
    ended = revocation.revoke_delegations(
        selected, context_of(request), reason=form.cleaned_data["reason"]
    )
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


def narrow(page: ReadOnlyAdmin, request: HttpRequest, delegation: Delegation) -> HttpResponse:
    """Narrow a delegation and what was made from it."""
    back = HttpResponseRedirect(page.url("change", delegation.pk))
    if state.state(delegation) is not Delegation.State.LIVE:
        page.message_user(request, _("Only what is live can be narrowed."), messages.WARNING)
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
    # The only other thing that this form asks for
    return "expires_at" if isinstance(error, InvalidRequest) else None


def _tell(page: ReadOnlyAdmin, request: HttpRequest, ended: int) -> None:
    page.message_user(request, _("The delegation was narrowed."), messages.SUCCESS)
    if ended > 0:
        text = ngettext(
            "%(count)d delegation below it was left with nothing and ended.",
            "%(count)d delegations below it were left with nothing and ended.",
            ended,
        )
        page.message_user(request, text % {"count": ended}, messages.WARNING)


def _question(page: ReadOnlyAdmin, delegation: Delegation, form: NarrowingForm) -> ConfirmationPage:
    return ConfirmationPage(
        title=_("Narrow this delegation?"),
        question=_("What you take away is gone at once and can't be given back."),
        consequences=_consequences(delegation, preview([selection.subtree(delegation)])),
        button=_("Narrow"),
        back=page.url("change", delegation.pk),
        form=form,
        record=delegation,
        about=" ".join([summary.sentences(delegation)[0], *delegation.constraints.describe()]),
    )


def _consequences(delegation: Delegation, found: Preview) -> list[str]:
    below = found.delegations - 1
    lines = [_("It has no child delegations.")]
    if below > 0:
        text = ngettext(
            "%(count)d delegation below it is narrowed too, and ends if nothing is left of it.",
            "%(count)d delegations below it are narrowed too; those left with nothing end.",
            below,
        )
        lines = [text % {"count": below}]
    text = ngettext(
        "%(count)d live access token allows less, wherever services ask here.",
        "%(count)d live access tokens allow less, wherever services ask here.",
        found.access_tokens,
    )
    lines.append(text % {"count": found.access_tokens})
    lines.append(_("If its client asks again on the same terms, it gets the narrowed one."))
    lines.append(_("Other terms, another sign-in or waiting does not bring back what you take."))
    lines.append(block_text.until(blocks.of_revocation(delegation)))
    if (seconds := offline_seconds(found)) is not None:
        text = ngettext(
            "A service that never asks here may go by a token's old terms for %(count)d second.",
            "A service that never asks here may go by a token's old terms for %(count)d seconds.",
            seconds,
        )
        lines.append(text % {"count": seconds})
    return lines
