"""Actions on a consent, each with a confirmation page."""

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
    """Withdraw a consent and revoke its delegations."""
    back = page.url("change", record.pk)
    form = RevocationForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        ended = approval.withdraw(record, context_of(request), reason=form.cleaned_data["reason"])
        page.message_user(request, _("The consent was withdrawn."), messages.SUCCESS)
        show_ended(page, request, ended)
        return HttpResponseRedirect(back)
    question = ConfirmationPage(
        title=_("Withdraw this consent?"),
        question=_(
            "This revokes its delegations immediately. The user is prompted again next time."
        ),
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
    """Approve a pending consent."""
    decision = ConfirmedAction(
        title=_("Approve this consent?"),
        question=_("The app can then obtain the access that the user allowed."),
        button=_("Approve"),
        done=_("The consent was approved."),
        do=approval.approve,
    )
    return _decide(page, request, record, decision)


def refuse(page: ReadOnlyAdmin, request: HttpRequest, record: ConsentRecord) -> HttpResponse:
    """Reject a pending consent."""
    decision = ConfirmedAction(
        title=_("Reject this consent?"),
        question=_("No access is granted from it. The app may prompt the user again."),
        button=_("Reject"),
        done=_("The consent was rejected."),
        do=approval.reject,
    )
    return _decide(page, request, record, decision)


def may_be_decided(record: ConsentRecord, origin: RequestContext) -> bool:
    """Whether it is pending, and not the operator's own."""
    waits = record.confirmation == ConsentRecord.Confirmation.PENDING
    return waits and record.withdrawn_at is None and not approval.is_own(record, origin.actor)


def in_short(record: ConsentRecord) -> str:
    """Return the user, the client and the scopes."""
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
