"""The confirmation page of an action, with its consequences."""

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
    """An operator's decision on a pending record.

    Attributes:
        title: the heading.
        question: the action, in a sentence.
        button: the label of the button.
        done: the message afterwards.
        do: the service function.
    """

    title: str
    question: str
    button: str
    done: str
    do: Callable[..., None]


@dataclass(frozen=True, slots=True)
class ConfirmationPage:
    """The content of the page.

    Attributes:
        title: the heading.
        question: the action, in a sentence.
        consequences: the effects, a line each.
        button: the label of the button.
        back: the URL of the link “Cancel”.
        form: further fields.
        record: the affected record, if it is one.
        about: its description.
        items: the affected records, if these are several.
        hidden: names and values of hidden fields.
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
    """Mark a method of an admin as an action: GET shows the confirmation, POST executes.

    Its services own their transactions, so what it reports is durable. If the database was lost
    during the commit, the answer is 503 with the known state.
    """

    @functools.wraps(view)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return view(*args, **kwargs)
        except OutcomeUnknown as error:
            response = HttpResponse(error.description, content_type="text/plain", status=503)
            response["Retry-After"] = str(error.retry_after)
            return response

    decorated: Callable[..., Any] = method_decorator(require_http_methods(["GET", "HEAD", "POST"]))(
        wrapped
    )
    return own_transactions(decorated)


def ask(
    model_admin: ModelAdmin[Any], request: HttpRequest, confirmation: ConfirmationPage
) -> TemplateResponse:
    """Return the confirmation page."""
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
    """Return the effects of a revocation, a line each."""
    lines = [
        ngettext(
            "%(count)d delegation is revoked, with all its tokens.",
            "%(count)d delegations are revoked, with all their tokens.",
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
        _("Affects %(clients)s and %(people)s.")
        % {
            "clients": ngettext("%(count)d client", "%(count)d clients", preview.clients)
            % {"count": preview.clients},
            "people": ngettext("%(count)d user", "%(count)d users", preview.people)
            % {"count": preview.people},
        },
    ]
    return [*lines, *_offline(preview)]


def _offline(preview: Preview) -> list[str]:
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
        "Services that do not check for revocation may accept a token for %(count)d more second.",
        "Services that do not check for revocation may accept a token for %(count)d more seconds.",
        seconds,
    )
    return [stop % {"count": within}, accept % {"count": seconds}]


def offline_seconds(preview: Preview) -> int | None:
    """Return the remaining seconds of offline acceptance; None without valid tokens."""
    if preview.offline_until is None:
        return None
    return max(1, round((preview.offline_until - clock.now()).total_seconds()))
