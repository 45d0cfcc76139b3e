"""Applying a change that a second operator has approved: through the pages that it came from.

Whatever those pages refuse today is refused, and what comes out has to be what both operators saw.
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
    """Make a change, with the permissions that its proposer has now.

    Args:
        site: the admin that the proposal is approved in.
        request: of the second operator.
        proposal: what both operators saw.

    Raises:
        Stale: the proposer may not do it any more, its forms refuse it, its row is gone, or
            something else would come out.

    Side effects: those of the change. Call it inside a transaction, and undo that if it raises.
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
    # What the second operator sends is a reason. Neither files nor messages are part of the change.
    acting._files = MultiValueDict()  # type: ignore[attr-defined]  # noqa: SLF001 - has no setter
    acting._messages = default_storage(acting)  # type: ignore[attr-defined]  # noqa: SLF001 - set by a middleware
    # The token of the request that approves was judged already
    acting.csrf_processing_done = True  # type: ignore[attr-defined]  # of Django's middleware
    if not site.has_permission(acting):
        raise Stale("The operator who proposed this may not change anything any more.")
    return acting


def _form(proposal: ProposedChange) -> Any:
    form = QueryDict(mutable=True)
    for name, values in proposal.posted.items():
        form.setlist(name, values)
    if proposal.change == ProposedChange.Change.ADDED and proposal.kind == _Kind.CLIENT:
        # Known to nobody: an operator makes one with “New secret” when the client needs it
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
        raise Stale("The operator who proposed this does not exist any more.")
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
        raise Stale("The operator who proposed this may not change it any more.") from error
    if not approval.is_applied:
        raise Stale(_refusal(getattr(response, "context_data", None) or {}))


def _refusal(context: dict[str, Any]) -> str:
    errors = [str(text) for texts in context.get("errors", ()) for text in texts]
    if not errors:
        return "It does not exist any more."
    return f"The form refuses it now: {' '.join(errors)}"
