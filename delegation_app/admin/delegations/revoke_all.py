"""Revoking all delegations of a user, of a client, or of a user at a client."""

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
from delegation_app.services.delegations import revocation, selection
from delegation_app.services.delegations.selection import Selection, preview

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

    from delegation_app.toolkit import Application

CHOICES: dict[str, str | Promise] = {
    "person": gettext_lazy("all delegations of %(who)s"),
    "client": gettext_lazy("all delegations of %(client)s"),
    "both": gettext_lazy("all delegations of %(who)s at %(client)s"),
}


@dataclass(frozen=True, slots=True)
class RevokeAllTarget:
    """All delegations of a user, of a client, or of a user at a client; at least one is set."""

    user: AbstractBaseUser | None = None
    application: Application | None = None

    @property
    def selection(self) -> Selection:
        """The delegations to revoke."""
        if self.user is None:
            return selection.of_client(self._client)
        if self.application is None:
            return selection.of_user(self.user)
        return selection.of_user_at_client(self.user, self.application)

    @property
    def title(self) -> str:
        """The heading."""
        words = {
            "client": self.application,
            "who": "" if self.user is None else self.user.get_username(),
        }
        if self.user is None:
            return _("Revoke all delegations of the client %(client)s?") % words
        if self.application is None:
            return _("Revoke all delegations of %(who)s?") % words
        return _("Revoke all delegations of %(who)s at the client %(client)s?") % words

    @property
    def question(self) -> str:
        """The effect, in a sentence."""
        if self.user is None:
            return _("This immediately ends everything that the client holds, of every principal.")
        if self.application is None:
            return _("This immediately ends everything that this user granted, to every client.")
        return _("This immediately ends everything that this client holds for this user.")

    @property
    def warnings(self) -> Sequence[str]:
        """Effects that an operator may not expect."""
        found = [_("Child delegations of other clients end too. This cannot be undone.")]
        pair = self.selection.pair
        found += [] if pair is None else admin.bindings(pair)
        if self.user is None:
            found.append(_("To keep the client from starting again, disable it too."))
        else:
            found.append(_("To keep this user from allowing it again, disable the account."))
        return found

    @property
    def _client(self) -> Application:
        if self.application is None:
            raise ValueError("neither a user nor a client")
        return self.application


def of_delegation(delegation: Delegation, whose: str) -> RevokeAllTarget | None:
    """Return all of the user or the client of a delegation; None if the user or client is gone."""
    user = delegation.principal_user if whose in {"person", "both"} else None
    application: Any = delegation.delegate if whose in {"client", "both"} else None
    wanted = {"person": (user,), "client": (application,), "both": (user, application)}
    if None in wanted.get(whose, (None,)):
        return None
    return RevokeAllTarget(user, application)


def links(page: ReadOnlyAdmin, delegation: Delegation) -> list[tuple[str, str]]:
    """Return a label and a URL for each target of a delegation."""
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
    """Revoke all of the user or the client of a delegation.

    Raises:
        Http404: the user or the client no longer exists.
    """
    target = of_delegation(delegation, whose)
    if target is None:
        raise Http404(_("There is no such record."))
    return _revoke(page, request, target, page.url("change", delegation.pk), delegation)


def from_client(page: ReadOnlyAdmin, request: HttpRequest, key: str) -> HttpResponse:
    """Revoke all delegations of the client with this key.

    Raises:
        Http404: there is no such client.
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
    target: RevokeAllTarget,
    back: str,
    record: Delegation | None = None,
) -> HttpResponse:
    form = RevocationForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        ended = revocation.revoke_selections(
            [target.selection], context_of(request), reason=form.cleaned_data["reason"]
        )
        actions.show_ended(page, request, ended)
        return HttpResponseRedirect(back)
    confirmation = ConfirmationPage(
        title=target.title,
        question=target.question,
        consequences=[*consequences(preview([target.selection])), *target.warnings],
        button=_("Revoke all"),
        back=back,
        form=form,
        record=record,
    )
    return ask(page, request, confirmation)
