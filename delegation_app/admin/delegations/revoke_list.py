"""Revoking all that a filtered list holds: one question, then batches, each told of as it ends.

How far it came travels in a signed token, so that nothing has to be kept on the server, and an
interruption loses nothing: what ended drops out of the filter.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final, Self

from django.contrib import messages
from django.core import signing
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from delegation_app import clock
from delegation_app.admin.base import ReadOnlyAdmin, context_of
from delegation_app.admin.confirmation import ConfirmationPage, ask, consequences
from delegation_app.admin.delegations import changelist, filters
from delegation_app.admin.delegations.forms import RevocationForm
from delegation_app.services.delegations import bulk
from delegation_app.services.delegations.bulk import Task
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.delegations.listing import Count, ListingPosition
from delegation_app.services.delegations.preview import preview

_SALT: Final = "delegation_app.admin.delegations.revoke_list"
# Whoever comes back after a weekend looks at the list again
_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class BulkState:
    """What the pages hand on to each other.

    Attributes:
        task: how far it came.
        operator: the key of whoever began it; nobody else goes on with it.
        query: the filters as the address of the list has them.
        reason: as typed; empty until it was asked for.
    """

    task: Task
    operator: str
    query: str
    reason: str = ""

    def sealed(self) -> str:
        """Return it as a signed text."""
        task = asdict(self.task) | {
            "chosen": self.task.chosen.as_json(),
            "started_at": self.task.started_at.isoformat(),
            "position": None if self.task.position is None else str(self.task.position),
        }
        said = {"task": task, "operator": self.operator, "query": self.query}
        return signing.dumps(said | {"reason": self.reason}, salt=_SALT, compress=True)

    @classmethod
    def opened(cls, text: str, request: HttpRequest) -> Self:
        """Return what `sealed` made for the same operator.

        Raises:
            BadRequest: it was changed, is too old or was not made here.
            PermissionDenied: it is somebody else's.
        """
        try:
            said = signing.loads(text, salt=_SALT, max_age=_SECONDS)
            task, place = said["task"], said["task"]["position"]
            read: dict[str, Any] = {
                "chosen": DelegationFilter.of_json(task["chosen"]),
                "started_at": datetime.fromisoformat(task["started_at"]),
                "position": None if place is None else ListingPosition.parse(place),
            }
            ticket = cls(**(said | {"task": Task(**(task | read))}))
        # Signed by us, but perhaps by another version
        except (signing.BadSignature, KeyError, TypeError, ValueError) as error:
            raise BadRequest("This task can't be gone on with.") from error
        if ticket.operator != str(request.user.pk):
            raise PermissionDenied
        return ticket


def revoke(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Ask about what the address chooses, or end the next batches of what was asked about."""
    if "task" not in request.POST:
        return _begin(page, request)
    ticket = BulkState.opened(request.POST["task"], request)
    if not ticket.reason:
        form = RevocationForm(request.POST)
        if not form.is_valid():
            return _question(page, request, ticket, form)
        ticket = replace(ticket, reason=form.cleaned_data["reason"])
    task = bulk.advance(ticket.task, context_of(request), reason=ticket.reason)
    return _progress(page, request, replace(ticket, task=task))


def _begin(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    chosen = changelist.chosen(request.GET.dict(), clock.now())
    query = request.GET.urlencode()
    if chosen == DelegationFilter():
        text = _("Filter the list first: this never revokes everything there is.")
        page.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(page.url("changelist"))
    ticket = BulkState(bulk.begin(chosen), str(request.user.pk), query)
    return _question(page, request, ticket, RevocationForm())


def _question(
    page: ReadOnlyAdmin, request: HttpRequest, ticket: BulkState, form: RevocationForm
) -> HttpResponse:
    back = f"{page.url('changelist')}?{ticket.query}"
    selection, left = bulk.sample(ticket.task)
    if left == Count(0, is_all=True):
        page.message_user(request, _("All of it had ended already."), messages.WARNING)
        return HttpResponseRedirect(back)
    confirmation = ConfirmationPage(
        title=_("Revoke all that this list holds?"),
        question=_("This ends what the filters below choose, some at a time. It can't be undone."),
        items=filters.in_words(ticket.task.chosen, ticket.query),
        consequences=[
            in_words(left),
            *_of_sample(left),
            *consequences(preview([selection])),
            _("Child delegations end too. Delegations issued from now on are left alone."),
        ],
        button=_("Revoke all of them"),
        back=back,
        form=form,
        hidden=[("task", ticket.sealed())],
    )
    return ask(page, request, confirmation)


def _of_sample(left: Count) -> list[str]:
    if left.is_all and left.count <= bulk.PREVIEWED:
        return []
    return [
        _("The figures that follow are those of the first %(count)d of them alone.")
        % {"count": min(left.count, bulk.PREVIEWED)}
    ]


def in_words(left: Count) -> str:
    """Return how many are left; at least, if they were not all counted."""
    if left.is_all:
        text = ngettext(
            "%(count)d delegation is chosen.", "%(count)d delegations are chosen.", left.count
        )
    else:
        text = ngettext(
            "At least %(count)d delegation matches.",
            "At least %(count)d delegations match.",
            left.count,
        )
    return text % {"count": left.count}


def _progress(page: ReadOnlyAdmin, request: HttpRequest, ticket: BulkState) -> HttpResponse:
    left = bulk.remaining(ticket.task)
    request.current_app = page.admin_site.name
    context = {
        **page.admin_site.each_context(request),
        "title": _("Done") if ticket.task.is_over else _("Revoking"),
        "subtitle": None,
        "opts": page.opts,
        "media": page.media,
        "ended": ticket.task.ended,
        "left": left,
        "whole": ticket.task.ended + left.count,
        "is_over": ticket.task.is_over,
        "reason": ticket.reason,
        "task": ticket.sealed(),
        "items": filters.in_words(ticket.task.chosen, ticket.query),
        "back": f"{page.url('changelist')}?{ticket.query}",
    }
    return TemplateResponse(request, "admin/delegation_app/delegation/progress.html", context)
