"""The page between a button and its deed: it says what will happen, and asks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import ModelAdmin
from django.db.models import Model
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from delegation_app import clock
from delegation_app.protocol.errors import OutcomeUnknown
from delegation_app.services.delegations.selection import Preview, followers_seconds
from delegation_app.views.standalone import own_transactions


@dataclass(frozen=True, slots=True)
class ConfirmedAction:
    """One of the answers that an operator may give to what waits for one.

    Attributes:
        title: the deed, as a heading.
        question: what will be done, in a sentence.
        button: what the button says.
        done: what is said afterwards.
        do: the service that does it.
    """

    title: str
    question: str
    button: str
    done: str
    do: Callable[..., None]


@dataclass(frozen=True, slots=True)
class ConfirmationPage:
    """What the page says.

    Attributes:
        title: the deed, as a heading.
        question: what will be done, in a sentence.
        consequences: what follows from it, a line each.
        button: what the button says.
        back: where "no" leads.
        form: what is asked beside yes or no.
        record: what the deed is done to, if it is one thing.
        about: that thing in words.
        items: what it is done to, if these are several.
        hidden: more fields to post back.
    """

    title: str
    question: str
    button: str
    back: str
    form: Form | None = None
    consequences: Sequence[str] = ()
    record: Model | None = None
    about: str = ""
    items: Sequence[str] = ()
    hidden: Sequence[tuple[str, str]] = ()


def deed(view: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a method of an admin as a deed: GET asks, POST does, nothing else is answered.

    Its services own their transactions: what it reports is durable. Where the database was lost
    during the commit, the operator reads that instead of a 500.
    """

    @functools.wraps(view)
    def told(*args: Any, **kwargs: Any) -> Any:
        try:
            return view(*args, **kwargs)
        except OutcomeUnknown as error:
            response = HttpResponse(error.description, content_type="text/plain", status=503)
            response["Retry-After"] = str(error.retry_after)
            return response

    decorated: Callable[..., Any] = method_decorator(require_http_methods(["GET", "HEAD", "POST"]))(
        told
    )
    return own_transactions(decorated)


def ask(
    model_admin: ModelAdmin[Any], request: HttpRequest, confirmation: ConfirmationPage
) -> TemplateResponse:
    """Return the page."""
    request.current_app = model_admin.admin_site.name
    context = {
        **model_admin.admin_site.each_context(request),
        "title": confirmation.title,
        "subtitle": None,
        "opts": model_admin.opts,
        "media": model_admin.media,
        "confirmation": confirmation,
    }
    return TemplateResponse(request, "admin/delegation_app/confirm.html", context)


def consequences(preview: Preview) -> list[str]:
    """Return what a revocation stops, a line each."""
    lines = [
        ngettext(
            "%(count)d delegation ends, with everything issued under it.",
            "%(count)d delegations end, with everything issued under them.",
            preview.delegations,
        )
        % {"count": preview.delegations},
        ngettext(
            "%(count)d live access token stops working.",
            "%(count)d live access tokens stop working.",
            preview.access_tokens,
        )
        % {"count": preview.access_tokens},
        ngettext(
            "%(count)d live refresh token stops working.",
            "%(count)d live refresh tokens stop working.",
            preview.refresh_tokens,
        )
        % {"count": preview.refresh_tokens},
        _("%(clients)s and %(people)s are affected.")
        % {
            "clients": ngettext("%(count)d client", "%(count)d clients", preview.clients)
            % {"count": preview.clients},
            "people": ngettext("%(count)d person", "%(count)d people", preview.people)
            % {"count": preview.people},
        },
    ]
    return [*lines, *_offline(preview)]


def _offline(preview: Preview) -> list[str]:
    """Return how long those who verify by themselves go on; nothing where nobody can."""
    seconds = offline_seconds(preview)
    if seconds is None:
        return []
    within = followers_seconds()
    stop = ngettext(
        "Offline verifiers stop within %(count)d second if they follow the status lists.",
        "Offline verifiers stop within %(count)d seconds if they follow the status lists.",
        within,
    )
    accept = ngettext(
        "A service that never asks here may accept a token for %(count)d more second.",
        "A service that never asks here may accept a token for %(count)d more seconds.",
        seconds,
    )
    return [stop % {"count": within}, accept % {"count": seconds}]


def offline_seconds(preview: Preview) -> int | None:
    """Return how long somebody who only verifies may go by what is out; None if nothing is."""
    if preview.offline_until is None:
        return None
    return max(1, round((preview.offline_until - clock.now()).total_seconds()))
