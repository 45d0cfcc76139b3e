"""The pages on which users end connections, each with a preview."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from delegation_app import http
from delegation_app.services import name_search
from delegation_app.services.connections import actions, listing
from delegation_app.services.delegations.terms import SignIn
from delegation_app.views import pages
from delegation_app.views.connections.guard import (
    context_of,
    flash,
    for_signed_in_users,
    form_of,
    show_page,
)


@for_signed_in_users("GET", "POST")
def end(request: HttpRequest, person: SignIn, key: str) -> HttpResponse:
    """Preview and end a connection."""
    row = listing.owned(person.user, key)
    if request.method == "POST":
        return _end(request, person, row)
    parent = None if row.parent_id is None else listing.owned(person.user, row.chain[-2])
    context = {
        "connection": listing.described([row])[0],
        "passed_on_by": "" if parent is None else listing.app_name(parent),
        "ending": actions.of_one(row),
        "is_over": actions.is_over(row),
    }
    return show_page(request, person, "end.html", context)


@for_signed_in_users("GET", "POST")
def end_all(request: HttpRequest, person: SignIn) -> HttpResponse:
    """Preview and end all connections, or all of one app."""
    if request.method == "POST":
        parameters = form_of(request, person)
        ended = actions.end_all(
            person.user,
            context_of(request, person),
            reason=parameters.get("reason") or "",
            client_id=parameters.get("app") or "",
        )
        flash(request, what="all", count=ended)
        return pages.redirect(reverse("delegation_app:connections"))
    client_id = http.read_query(request).get("app") or ""
    context = {
        "client_id": client_id,
        "app": name_search.client_names([client_id]).get(client_id, client_id) if client_id else "",
        "ending": actions.of_all(person.user, client_id),
    }
    return show_page(request, person, "end_all.html", context)


def _end(request: HttpRequest, person: SignIn, row: Any) -> HttpResponse:
    parameters = form_of(request, person)
    is_child = row.parent_id is not None
    ended = actions.end(
        row,
        context_of(request, person),
        reason=parameters.get("reason") or "",
    )
    flash(request, what="ended" if ended else "over", app=listing.app_name(row), count=ended)
    # Back to the tree that it belongs to
    where = ("connection", [row.root_id]) if is_child else ("connections", [])
    return pages.redirect(reverse(f"delegation_app:{where[0]}", args=where[1]))
