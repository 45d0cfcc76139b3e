"""What can be done to a consent, each after one question."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from delegation_app.admin.base import ReadOnlyAdmin, context_of
from delegation_app.admin.blocks import admin
from delegation_app.admin.confirmation import ConfirmationPage, ConfirmedAction, ask, consequences
from delegation_app.admin.delegations import summary
from delegation_app.admin.delegations.actions import show_ended
from delegation_app.admin.delegations.forms import RevocationForm
from delegation_app.models import ConsentRecord
from delegation_app.protocol.errors import OAuthError
from delegation_app.services.audit import RequestContext
from delegation_app.services.consent import approval
from delegation_app.services.consent.history import descriptions
from delegation_app.services.delegations import blocks, selection
from delegation_app.services.delegations.selection import preview


def withdraw(page: ReadOnlyAdmin, request: HttpRequest, record: ConsentRecord) -> HttpResponse:
    """Withdraw a consent, and end what hangs on it."""
    back = page.url("change", record.pk)
    form = RevocationForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        ended = approval.withdraw(record, context_of(request), reason=form.cleaned_data["reason"])
        page.message_user(request, _("The consent was withdrawn."), messages.SUCCESS)
        show_ended(page, request, ended)
        return HttpResponseRedirect(back)
    question = ConfirmationPage(
        title=_("Withdraw this consent?"),
        question=_("This ends all that hangs on it, at once. The person is asked again next time."),
        consequences=[
            *consequences(preview([selection.of_consent(record)])),
            *admin.bindings(blocks.of_withdrawal(record)),
        ],
        button=_("Withdraw"),
        back=back,
        form=form,
        record=record,
        about=in_short(record),
    )
    return ask(page, request, question)


def confirm(page: ReadOnlyAdmin, request: HttpRequest, record: ConsentRecord) -> HttpResponse:
    """Confirm a consent, so that it speaks."""
    decision = ConfirmedAction(
        title=_("Confirm this consent?"),
        question=_("From then on the app may get what the person has allowed it."),
        button=_("Confirm"),
        done=_("The consent was confirmed."),
        do=approval.approve,
    )
    return _decide(page, request, record, decision)


def refuse(page: ReadOnlyAdmin, request: HttpRequest, record: ConsentRecord) -> HttpResponse:
    """Refuse to confirm a consent."""
    decision = ConfirmedAction(
        title=_("Refuse to confirm this consent?"),
        question=_("Nothing is opened on it, ever. The person may be asked again by the app."),
        button=_("Refuse"),
        done=_("The confirmation was refused."),
        do=approval.reject,
    )
    return _decide(page, request, record, decision)


def may_be_decided(record: ConsentRecord, origin: RequestContext) -> bool:
    """Tell whether it waits, and is not this operator's own."""
    waits = record.confirmation == ConsentRecord.Confirmation.PENDING
    return waits and record.withdrawn_at is None and not approval.is_own(record, origin.actor)


def in_short(record: ConsentRecord) -> str:
    """Return who allowed whom what."""
    return f"{summary.named(record)}: {record.scopes_granted}"


def _decide(
    page: ReadOnlyAdmin, request: HttpRequest, record: ConsentRecord, decision: ConfirmedAction
) -> HttpResponse:
    back = page.url("change", record.pk)
    form = RevocationForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            decision.do(record, context_of(request), reason=form.cleaned_data["reason"])
        except OAuthError as error:
            page.message_user(request, error.description, messages.WARNING)
        else:
            page.message_user(request, decision.done, messages.SUCCESS)
        return HttpResponseRedirect(back)
    question = ConfirmationPage(
        title=decision.title,
        question=decision.question,
        consequences=_what_is_allowed(record),
        button=decision.button,
        back=back,
        form=form,
        record=record,
        about=in_short(record),
    )
    return ask(page, request, question)


def _what_is_allowed(record: ConsentRecord) -> list[str]:
    lines = [f"{text} ({name})" for name, text in descriptions(record.scopes_granted)]
    lines += [_("At %(audience)s.") % {"audience": ", ".join(record.audience)}]
    return [*lines, *record.constraints.describe()]
