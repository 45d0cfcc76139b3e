"""What the pages around the audit trail share."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.functional import Promise

from delegation_app.admin.base import ReadOnlyAdmin


def render(
    page: ReadOnlyAdmin,
    request: HttpRequest,
    template: str,
    title: str | Promise,
    context: Mapping[str, Any],
    *,
    status: int = HTTPStatus.OK,
) -> TemplateResponse:
    """Return one of the pages of the audit trail."""
    request.current_app = page.admin_site.name
    shared = {
        **page.admin_site.each_context(request),
        "title": title,
        "subtitle": None,
        "opts": page.opts,
        "media": page.media,
    }
    name = f"admin/delegation_app/auditevent/{template}.html"
    return TemplateResponse(request, name, {**shared, **context}, status=status)
