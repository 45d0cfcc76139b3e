"""Narrowing a live delegation, after one question."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from delegation_app.admin.base import ReadOnlyAdmin
from delegation_app.admin.confirmation import ConfirmationPage, ask, offline_seconds
from delegation_app.admin.delegations import summary
from delegation_app.admin.delegations.forms import NarrowingForm
from delegation_app.admin.origin import context_of
from delegation_app.models import Delegation
from delegation_app.protocol.constraints import InvalidConstraint
from delegation_app.protocol.errors import InvalidRequest, InvalidScope, OAuthError
from delegation_app.services.delegations import block_text, blocks, creation, selection, state
from delegation_app.services.delegations.preview import Preview, preview


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
    lines = [_("Nothing was made from it.")]
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
