"""Storing a change that needs a second operator, with a message to the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from delegation_app import clock
from delegation_app.admin import labels
from delegation_app.admin.base import context_of
from delegation_app.conf import conf
from delegation_app.models import ProposedChange
from delegation_app.services.clients import proposals, snapshots

REASON: Final = "second_operator_reason"
_SHOWN: Final = 10


def keep(
    page: ModelAdmin[Any],
    request: HttpRequest,
    wanted: proposals.ProposedValues,
    *,
    reason: str = "",
) -> HttpResponse:
    """Store a pending change, and redirect to the page it came from.

    Side effects: those of `proposals.propose`.
    """
    reason = reason or request.POST.get(REASON, "")
    made = proposals.propose(wanted, context_of(request), reason=reason)
    text = _("Not applied yet: this grants more access, so another operator must approve it.")
    link = labels.link(page.admin_site, request, made, _("View the pending change"))
    page.message_user(request, format_html("{} {}", text, link), messages.WARNING)
    return HttpResponseRedirect(_back(page, request, wanted.change))


def refuse(page: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Refuse a change whose secret or logo cannot be stored while it is pending."""
    text = _(
        "Nothing was changed. This change needs another operator, and a secret or logo cannot be "
        "stored until then. Save the secret or logo separately first."
    )
    page.message_user(request, text, messages.ERROR)
    return HttpResponseRedirect(request.get_full_path())


def posted(request: HttpRequest, form: Any, formsets: Iterable[Any]) -> dict[str, list[str]]:
    """Return the submitted values of the fields of a page, without secrets and files."""
    kept: dict[str, list[str]] = {}
    html_names = set(_html_names(form, formsets))
    for name in request.POST:
        # A field with several widgets has a numbered name for each
        whole, _underscore, number = name.removeprefix("initial-").rpartition("_")
        if name.removeprefix("initial-") in html_names or (
            number.isdecimal() and whole in html_names
        ):
            values = request.POST.getlist(name)
            # PostgreSQL cannot store a NUL, and no field of this app accepts one
            kept[name] = [value.replace("\x00", "") for value in values]
    return kept


def context(site: AdminSite, request: HttpRequest, kind: ProposedChange.Kind, pk: Any) -> Any:
    """Return the pending changes of a row for its page, with at most one statement."""
    found: list[str] = []
    if labels.may_see(site, request, ProposedChange):
        rows = ProposedChange.objects.waiting(clock.now()).filter(kind=kind, key=str(pk))
        found = [labels.link(site, request, row, str(row)) for row in rows[:_SHOWN]]
    return {"second_operator": conf.second_operator, "proposed": found}


def _html_names(form: Any, formsets: Iterable[Any]) -> Iterator[str]:
    forms = [(form._meta.model, form)]
    for formset in formsets:
        yield from map(formset.management_form.add_prefix, formset.management_form.fields)
        forms += [(formset.model, inline) for inline in formset.forms]
    for model, each in forms:
        yield from (
            each.add_prefix(name) for name in each.fields if not snapshots.is_secret(model, name)
        )


def _back(page: ModelAdmin[Any], request: HttpRequest, change: ProposedChange.Change) -> str:
    if change != ProposedChange.Change.ADDED:
        return request.get_full_path()
    route = f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist"
    return reverse(route, current_app=page.admin_site.name)
