"""Names of users and clients in records, and links to their pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from delegation_app import toolkit
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.requests import reading
from delegation_app.services.name_suggestions import SuggestionScope, VisibilityScope

_MAX_NAME: Final = 60


def of_subjects(subjects: Iterable[str]) -> dict[str, str]:
    """Return the names of the users among these subjects, in one statement."""
    model = get_user_model()
    prefix = user_subject("")
    keys = []
    for subject in set(subjects):
        if subject.startswith(prefix):
            try:
                key = model._meta.pk.to_python(subject.removeprefix(prefix))
            except ValidationError:
                continue
            if reading.is_storable(key):
                keys.append(key)
    if not keys:
        return {}
    return {
        user_subject(user.pk): user.get_username()
        for user in model._default_manager.filter(pk__in=keys)
    }


def listed(identifiers: Iterable[str], known: dict[str, str]) -> str:
    """Return names as a list in one line; the identifier of a record without a name."""
    return ", ".join(known.get(identifier, identifier) for identifier in identifiers)


def with_name(subject: str, known: dict[str, str]) -> str:
    """Return a subject with the name of its user."""
    return f"{known[subject]} ({subject})" if subject in known else subject


def of_client(application: Any, client_id: str) -> str:
    """Return the name of a client; the client id of a deleted one."""
    return client_id if application is None else str(application)


def address(site: AdminSite, request: HttpRequest, row: Model) -> str:
    """Return the URL of a row's page; empty if the user may not see it."""
    if not site.is_registered(type(row)):
        return ""
    if not site.get_model_admin(type(row)).has_view_or_change_permission(request, row):
        return ""
    opts = row._meta
    name = f"admin:{opts.app_label}_{opts.model_name}_change"
    return reverse(name, args=[row.pk], current_app=site.name)


def link(site: AdminSite, request: HttpRequest, row: Model | None, text: str) -> str:
    """Return `text` as a link to a row's page, if the user may see it."""
    found = "" if row is None else address(site, request, row)
    return format_html('<a href="{}">{}</a>', found, text) if found else text


def list_address(site: AdminSite, request: HttpRequest, model: type[Model], **query: object) -> str:
    """Return the URL of a model's list with a query; empty if the user may not see it."""
    if not may_see(site, request, model):
        return ""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    found = reverse(name, current_app=site.name)
    return f"{found}?{urlencode(query)}" if query else found


def cut(name: str) -> str:
    """Return a name cut to the width of a list."""
    return name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 1]}…"


def visibility_of(site: AdminSite, request: HttpRequest) -> VisibilityScope:
    """Return whose names may be suggested to this user: those of visible records."""
    user: Any = request.user
    record = (
        SuggestionScope.ON_RECORD
        if user.has_perm("delegation_app.view_delegation")
        else SuggestionScope.NONE
    )
    return VisibilityScope(
        people=SuggestionScope.ALL if may_see(site, request, get_user_model()) else record,
        clients=SuggestionScope.ALL
        if may_see(site, request, toolkit.application_model())
        else record,
    )


def may_see(site: AdminSite, request: HttpRequest, model: type[Model]) -> bool:
    """Return whether the model has admin pages that this user may see."""
    if not site.is_registered(model):
        return False
    return site.get_model_admin(model).has_view_or_change_permission(request)
