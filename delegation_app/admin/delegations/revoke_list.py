"""Revoking all delegations of a filtered list: one confirmation, then batches with progress.

The state is in a signed token of the page, not on the server. An interrupted task can continue:
revoked delegations no longer match the filter.
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
from delegation_app.protocol.errors import OAuthError
from delegation_app.services import limits
from delegation_app.services.delegations import bulk
from delegation_app.services.delegations.bulk import Task
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.paging import Cursor, RowCount

_SALT: Final = "delegation_app.admin.delegations.revoke_list"
# After that, the list must be opened again
_SECONDS: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class BulkState:
    """The state that the pages pass on.

    Attributes:
        task: the progress.
        operator: the key of the user who started it; no other user can continue it.
        query: the query string of the list.
        reason: of the operator; empty before the confirmation.
    """

    task: Task
    operator: str
    query: str
    reason: str = ""

    def dump(self) -> str:
        """Return the state as a signed text."""
        task = asdict(self.task) | {
            "chosen": self.task.chosen.as_json(),
            "started_at": self.task.started_at.isoformat(),
            "position": None if self.task.position is None else str(self.task.position),
        }
        state = {"operator": self.operator, "query": self.query, "reason": self.reason}
        return signing.dumps(state | {"task": task}, salt=_SALT, compress=True)

    @classmethod
    def load(cls, text: str, request: HttpRequest) -> Self:
        """Return the state from the result of `dump` for the same operator.

        Raises:
            BadRequest: the text is altered, expired, or from another version.
            PermissionDenied: another operator started it.
        """
        try:
            state = signing.loads(text, salt=_SALT, max_age=_SECONDS)
            task, position = state["task"], state["task"]["position"]
            read: dict[str, Any] = {
                "chosen": DelegationFilter.from_json(task["chosen"]),
                "started_at": datetime.fromisoformat(task["started_at"]),
                "position": None if position is None else Cursor.parse(position),
            }
            found = cls(**(state | {"task": Task(**(task | read))}))
        # An OAuth error means a cursor of another version
        except (signing.BadSignature, KeyError, TypeError, ValueError, OAuthError) as error:
            raise BadRequest("This task cannot be continued. Open the list again.") from error
        if found.operator != str(request.user.pk):
            raise PermissionDenied
        return found


def revoke(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """Show the confirmation for a filtered list, or revoke the next batches after it."""
    if "task" not in request.POST:
        return _begin(page, request)
    state = BulkState.load(request.POST["task"], request)
    if not state.reason:
        form = RevocationForm(request.POST)
        if not form.is_valid():
            return _confirmation(page, request, state, form)
        state = replace(state, reason=form.cleaned_data["reason"])
    task = bulk.advance(state.task, context_of(request), reason=state.reason)
    return _progress(page, request, replace(state, task=task))


def _begin(page: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    chosen = changelist.chosen(request.GET.dict(), clock.now())
    if chosen == DelegationFilter():
        text = _(
            "Filter the list first: revoking all delegations of the site is not possible here."
        )
        page.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(page.url("changelist"))
    state = BulkState(bulk.begin(chosen), str(request.user.pk), request.GET.urlencode())
    return _confirmation(page, request, state, RevocationForm())


def _confirmation(
    page: ReadOnlyAdmin, request: HttpRequest, state: BulkState, form: RevocationForm
) -> HttpResponse:
    back = f"{page.url('changelist')}?{state.query}"
    outlook = bulk.outlook(state.task)
    if outlook.matching == RowCount(0, is_all=True):
        page.message_user(request, _("All of it had ended already."), messages.WARNING)
        return HttpResponseRedirect(back)
    confirmation = ConfirmationPage(
        title=_("Revoke all delegations of this list?"),
        question=_(
            "This revokes all that match the filters below, in batches. It cannot be undone."
        ),
        items=filters.in_words(state.task.chosen, state.query),
        consequences=[
            in_words(outlook.matching),
            *_of_sample(outlook.matching),
            *consequences(outlook.next),
            _("Child delegations end too. Delegations issued from now on are left alone."),
        ],
        button=_("Revoke all of them"),
        back=back,
        form=form,
        hidden=[("task", state.dump())],
    )
    return ask(page, request, confirmation)


def _of_sample(matching: RowCount) -> list[str]:
    most = limits.MAX_PREVIEWED
    if matching.is_all and matching.count <= most:
        return []
    text = _("The figures that follow are those of the first %(count)d of them alone.")
    return [text % {"count": min(matching.count, most)}]


def in_words(matching: RowCount) -> str:
    """Return how many delegations match; a bounded count has a plus sign."""
    text = ngettext("%(count)s delegation matches.", "%(count)s delegations match.", matching.count)
    return text % {"count": matching}


def _progress(page: ReadOnlyAdmin, request: HttpRequest, state: BulkState) -> HttpResponse:
    left = bulk.remaining(state.task)
    request.current_app = page.admin_site.name
    context = {
        **page.admin_site.each_context(request),
        "title": _("Done") if state.task.is_over else _("Revoking"),
        "subtitle": None,
        "opts": page.opts,
        "media": page.media,
        "ended": state.task.ended,
        "left": left,
        "whole": state.task.ended + left.count,
        "is_over": state.task.is_over,
        "reason": state.reason,
        "task": state.dump(),
        "items": filters.in_words(state.task.chosen, state.query),
        "back": f"{page.url('changelist')}?{state.query}",
    }
    return TemplateResponse(request, "admin/delegation_app/delegation/progress.html", context)
