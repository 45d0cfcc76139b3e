"""The page on which users narrow a connection."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from delegation_app.protocol.errors import InvalidRequest, OAuthError
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.protocol.scope import Scope
from delegation_app.services.connections import actions, listing
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.delegations.state import State
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
def narrow(request: HttpRequest, person: SignIn, key: str) -> HttpResponse:
    """Show the form for narrowing a connection, and narrow it."""
    row = listing.owned(person.user, key)
    if request.method == "GET":
        return _form(request, person, row)
    parameters = form_of(request, person)
    try:
        to = _wanted(row, parameters)
        actions.narrow(row, to, context_of(request, person))
    except OAuthError as error:
        # It may have changed since the page was shown
        return _form(request, person, listing.owned(person.user, key), parameters, error)
    flash(request, what="narrowed", app=listing.app_name(row))
    return pages.redirect(reverse("delegation_app:connection", args=[key]))


def _wanted(row: Any, parameters: Parameters) -> Narrowing:
    kept = Scope(parameters.all("scopes"))
    if not kept and row.scopes:
        raise InvalidRequest("Keep at least one scope. To take all away, end the connection.")
    ends = actions.chosen_end(row, parameters.get("lifetime"), parameters.get("day"))
    return Narrowing(scope=None if kept == row.scopes else kept, expires_at=ends)


def _form(
    request: HttpRequest,
    person: SignIn,
    row: Any,
    sent: Parameters | None = None,
    refused: OAuthError | None = None,
) -> HttpResponse:
    kept = None if sent is None else sent.all("scopes")
    connection = listing.described([row])[0]
    context = {
        "connection": connection,
        "is_live": connection.state is State.LIVE,
        "scopes": [(*scope, kept is None or scope[0] in kept) for scope in connection.scopes],
        "lifetimes": actions.shorter(row),
        "first_day": timezone.localdate(),
        "last_day": timezone.localtime(actions.last_day(row)).date(),
        "day": "" if sent is None else (sent.all("day") or ("",))[0],
        "lifetime": "" if sent is None else (sent.all("lifetime") or ("",))[0],
    }
    return show_page(request, person, "narrow.html", context, refused)
