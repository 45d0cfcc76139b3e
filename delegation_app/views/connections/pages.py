"""The pages on which a person sees what apps may do for them."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from delegation_app import http
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services.connections import actions, detail, pending
from delegation_app.services.connections import listing as connection_listing
from delegation_app.services.connections.listing import ConnectionQuery, Show
from delegation_app.services.delegations.terms import SignIn
from delegation_app.views.connections.guard import for_signed_in_users, pop_flash, show


@for_signed_in_users("GET")
def listed(request: HttpRequest, person: SignIn) -> HttpResponse:
    """List what a person lets apps do: newest first, 25 on a page."""
    chosen = _chosen(http.read_query(request))
    listing = connection_listing.listed(person.user, chosen)
    apps = connection_listing.apps(person.user)
    context = {
        "listing": listing,
        "chosen": chosen,
        "apps": apps,
        "app": dict(apps).get(chosen.app, ""),
        "newer": _address(chosen, after=listing.newer) if listing.newer else "",
        "older": _address(chosen, before=listing.older) if listing.older else "",
        "done": pop_flash(request),
        "waiting": pending.pending_consents(person.user),
    }
    return show(request, person, "list.html", context)


@for_signed_in_users("GET")
def one(request: HttpRequest, person: SignIn, key: str) -> HttpResponse:
    """Show one connection: its answer, limits, tree and past."""
    row = connection_listing.owned(person.user, key)
    context = {
        "whole": detail.load(person.user, row),
        "is_over": actions.is_over(row),
        "done": pop_flash(request),
    }
    return show(request, person, "one.html", context)


def _chosen(parameters: Parameters) -> ConnectionQuery:
    chosen = ConnectionQuery(
        show=_show(parameters.get("show")),
        app=parameters.get("app") or "",
        before=parameters.get("before") or "",
        after=parameters.get("after") or "",
    )
    if chosen.before and chosen.after:
        raise InvalidRequest("Ask for what is before or after, not both.")
    return chosen


def _show(text: str | None) -> Show:
    try:
        return Show.LIVE if text is None else Show(text)
    except ValueError as error:
        raise InvalidRequest("There is no such choice of connections.") from error


def _address(chosen: ConnectionQuery, **anchor: str) -> str:
    query = {"show": chosen.show.value, **({"app": chosen.app} if chosen.app else {}), **anchor}
    return f"{reverse('delegation_app:connections')}?{urlencode(query)}"
