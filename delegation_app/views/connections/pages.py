"""The pages on which users view their connections."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from delegation_app import http
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services.connections import actions, detail, pending
from delegation_app.services.connections import listing as connection_listing
from delegation_app.services.connections.listing import ConnectionQuery, Show
from delegation_app.services.delegations.terms import SignIn
from delegation_app.services.paging import SignedCursors
from delegation_app.views.connections.guard import for_signed_in_users, pop_flash, show_page


@for_signed_in_users("GET")
def listed(request: HttpRequest, person: SignIn) -> HttpResponse:
    """List the connections of the user, newest first, 25 on a page."""
    parameters = http.read_query(request)
    show, app = _show(parameters.get("show")), parameters.get("app") or ""
    cursors = SignedCursors("connections", person.subject, show, app)
    query = ConnectionQuery(show, app, cursor=cursors.read(parameters.get("at")))
    page = connection_listing.page(person.user, query)
    apps = connection_listing.apps(person.user)
    context = {
        "listing": page,
        "chosen": query,
        "apps": apps,
        "app": dict(apps).get(app, ""),
        "newer": _address(query, cursors.text(page.newer)),
        "older": _address(query, cursors.text(page.older)),
        "done": pop_flash(request),
        "waiting": pending.pending_consents(person.user),
    }
    return show_page(request, person, "list.html", context)


@for_signed_in_users("GET")
def one(request: HttpRequest, person: SignIn, key: str) -> HttpResponse:
    """Show a connection: its consent, limits, tree and timeline."""
    row = connection_listing.owned(person.user, key)
    context = {
        "whole": detail.load(person.user, row),
        "is_over": actions.is_over(row),
        "done": pop_flash(request),
    }
    return show_page(request, person, "one.html", context)


def _show(text: str | None) -> Show:
    try:
        return Show.LIVE if text is None else Show(text)
    except ValueError as error:
        raise InvalidRequest("Unknown value of show.") from error


def _address(query: ConnectionQuery, cursor: str) -> str:
    if not cursor:
        return ""
    parameters = {"show": query.show.value, "app": query.app, "at": cursor}
    found = urlencode({name: value for name, value in parameters.items() if value})
    return f"{reverse('delegation_app:connections')}?{found}"
