"""Ending all that a person has granted, that a client holds, or the one at the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delegation_app import toolkit
from delegation_app.admin import labels
from delegation_app.admin.base import ReadOnlyAdmin, context_of
from delegation_app.admin.blocks import admin
from delegation_app.admin.confirmation import ConfirmationPage, ask, consequences
from delegation_app.admin.delegations import actions
from delegation_app.admin.delegations.forms import RevocationForm
from delegation_app.models import Delegation
from delegation_app.protocol.requests import reading
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import revocation, selection
from delegation_app.services.delegations.preview import preview
from delegation_app.services.delegations.selection import Selection

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from delegation_app.toolkit import Application

CHOICES: dict[str, str | Promise] = {
    "person": gettext_lazy("everything of %(who)s"),
    "client": gettext_lazy("everything of %(client)s"),
    "both": gettext_lazy("everything of %(who)s at %(client)s"),
}


@dataclass(frozen=True, slots=True)
class RevokeAllTarget:
    """All that belongs to a person, to a client, or to the two together; one of them is set."""

    user: AbstractBaseUser | None = None
    application: Application | None = None

    @property
    def selection(self) -> Selection:
        """The delegations that end."""
        if self.user is None:
            return selection.of_client(self._client)
        if self.application is None:
            return selection.of_user(self.user)
        return selection.of_user_at_client(self.user, self.application)

    def end(self, origin: RequestContext, reason: str) -> int:
        """Revoke them, and return how many ended."""
        if self.user is None:
            return revocation.of_client(self._client, origin, reason=reason)
        if self.application is None:
            return revocation.of_user(self.user, origin, reason=reason)
        return revocation.of_user_at_client(self.user, self.application, origin, reason=reason)

    @property
    def title(self) -> str:
        """What is asked, as a heading."""
        words = {
            "client": self.application,
            "who": "" if self.user is None else self.user.get_username(),
        }
        if self.user is None:
            return _("Revoke everything of the client %(client)s?") % words
        if self.application is None:
            return _("Revoke everything of %(who)s?") % words
        return _("Revoke everything of %(who)s at the client %(client)s?") % words

    @property
    def question(self) -> str:
        """What will be done, in a sentence."""
        if self.user is None:
            return _(
                "This ends everything that the client holds, from every principal, immediately."
            )
        if self.application is None:
            return _("This ends all that this person has granted, to every client, at once.")
        return _("This ends all that this client holds for this person, at once.")

    @property
    def warnings(self) -> Sequence[str]:
        """What an operator could take for granted, and is not so."""
        found = [_("Child delegations of other clients end too. This cannot be undone.")]
        pair = self.selection.pair
        found += [] if pair is None else admin.bindings(pair)
        if self.user is None:
            found.append(_("To keep the client out for good, disable it too."))
        else:
            found.append(_("To keep this user from allowing it again, disable the account."))
        return found

    @property
    def _client(self) -> Application:
        if self.application is None:
            raise ValueError("neither a person nor a client")
        return self.application


def of_delegation(delegation: Delegation, whose: str) -> RevokeAllTarget | None:
    """Return what belongs to the person or the client of a delegation, if there still is one."""
    user = delegation.principal_user if whose in {"person", "both"} else None
    application: Any = delegation.delegate if whose in {"client", "both"} else None
    wanted = {"person": (user,), "client": (application,), "both": (user, application)}
    if None in wanted.get(whose, (None,)):
        return None
    return RevokeAllTarget(user, application)


def links(page: ReadOnlyAdmin, delegation: Delegation) -> list[tuple[str, str]]:
    """Return a label and an address for each that a delegation leads to."""
    words = {
        "who": delegation.principal_user and delegation.principal_user.get_username(),
        "client": labels.of_client(delegation.delegate, delegation.delegate_client_id),
    }
    return [
        (label % words, page.url("everything", delegation.pk, whose))
        for whose, label in CHOICES.items()
        if of_delegation(delegation, whose) is not None
    ]


def from_delegation(
    page: ReadOnlyAdmin, request: HttpRequest, delegation: Delegation, whose: str
) -> HttpResponse:
    """Revoke all of the person or the client of a delegation.

    Raises:
        Http404: there is nobody like that any more.
    """
    whole = of_delegation(delegation, whose)
    if whole is None:
        raise Http404(_("There is no such record."))
    return _revoke(page, request, whole, page.url("change", delegation.pk), delegation)


def from_client(page: ReadOnlyAdmin, request: HttpRequest, key: str) -> HttpResponse:
    """Revoke all that the client with this key holds.

    Raises:
        Http404: there is none.
    """
    rows = toolkit.application_model()._default_manager
    try:
        application = rows.filter(pk=reading.text(key)).first()
    except (ValidationError, ValueError):
        application = None
    if application is None:
        raise Http404(_("There is no such record."))
    back = labels.address(page.admin_site, request, application) or page.url("changelist")
    return _revoke(page, request, RevokeAllTarget(application=application), back)


def _revoke(
    page: ReadOnlyAdmin,
    request: HttpRequest,
    whole: RevokeAllTarget,
    back: str,
    record: Delegation | None = None,
) -> HttpResponse:
    form = RevocationForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        actions.tell_ended(
            page, request, whole.end(context_of(request), form.cleaned_data["reason"])
        )
        return HttpResponseRedirect(back)
    confirmation = ConfirmationPage(
        title=whole.title,
        question=whole.question,
        consequences=[*consequences(preview([whole.selection])), *whole.warnings],
        button=_("Revoke everything"),
        back=back,
        form=form,
        record=record,
    )
    return ask(page, request, confirmation)
