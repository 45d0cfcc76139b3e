"""Applying an approved change through the pages it came from.

Their current validation applies, and the result must be the change that both operators saw.
"""

from __future__ import annotations

import copy
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.contrib.messages.storage import default_storage
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import router
from django.http import HttpRequest, QueryDict
from django.utils.datastructures import MultiValueDict

from delegation_app import toolkit
from delegation_app.admin.base import context_of
from delegation_app.admin.blocks import lifting
from delegation_app.admin.proposals.registered import APPROVAL, Approval
from delegation_app.models import ProposedChange, ResourceServer
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.secrets import new_secret
from delegation_app.services.clients.proposals import Stale

_Kind = ProposedChange.Kind


def apply(site: AdminSite, request: HttpRequest, proposal: ProposedChange) -> None:
    """Apply a change with the current permissions of its proposer.

    Args:
        site: the admin site of the approval.
        request: of the second operator.
        proposal: the approved change.

    Raises:
        Stale: the proposer lacks permission, the form refuses it, its row is gone, or the result
            would differ.

    Side effects: those of the change. Call it in a transaction that is rolled back if it raises.
    """
    acting = _acting(site, request, proposal)
    if proposal.kind == _Kind.BLOCK:
        lifting.apply(acting, proposal, context_of(request))
    else:
        _save(site, acting, request, proposal)


def _acting(site: AdminSite, request: HttpRequest, proposal: ProposedChange) -> HttpRequest:
    acting = copy.copy(request)
    acting.META = dict(request.META)
    acting.user = _proposer(proposal)
    acting.POST = _form(proposal)
    # The second operator's request carries a reason; files and messages are not part of the change
    acting._files = MultiValueDict()  # type: ignore[attr-defined]  # noqa: SLF001 - has no setter
    acting._messages = default_storage(acting)  # type: ignore[attr-defined]  # noqa: SLF001 - set by a middleware
    # The CSRF token of the approving request has been checked
    acting.csrf_processing_done = True  # type: ignore[attr-defined]  # of Django's middleware
    if not site.has_permission(acting):
        raise Stale("The operator who proposed this no longer has access to the admin.")
    return acting


def _form(proposal: ProposedChange) -> Any:
    form = QueryDict(mutable=True)
    for name, values in proposal.posted.items():
        form.setlist(name, values)
    if proposal.change == ProposedChange.Change.ADDED and proposal.kind == _Kind.CLIENT:
        # Discarded: an operator generates one with “New secret” when the client needs it
        form["client_secret"] = new_secret()
    return form


def _proposer(proposal: ProposedChange) -> Any:
    model = get_user_model()
    users = model._default_manager.using(router.db_for_write(model))
    try:
        key = model._meta.pk.to_python(proposal.proposed_by.removeprefix(user_subject("")))
        found = users.filter(pk=key).first()
    except ValidationError:
        found = None
    if found is None:
        raise Stale("The operator who proposed this no longer exists.")
    return found


def _save(
    site: AdminSite, acting: HttpRequest, request: HttpRequest, proposal: ProposedChange
) -> None:
    is_client = proposal.kind == _Kind.CLIENT
    page: Any = site.get_model_admin(toolkit.application_model() if is_client else ResourceServer)
    approval = acting.META[APPROVAL] = Approval(proposal, context_of(request))
    try:
        response = page.changeform_view(acting, quote(proposal.key) or None)
    except PermissionDenied as error:
        raise Stale("The operator who proposed this no longer has the permission.") from error
    if not approval.is_applied:
        raise Stale(_refusal(getattr(response, "context_data", None) or {}))


def _refusal(context: dict[str, Any]) -> str:
    errors = [str(text) for texts in context.get("errors", ()) for text in texts]
    if not errors:
        return "The record no longer exists."
    return f"The form does not accept it: {' '.join(errors)}"
