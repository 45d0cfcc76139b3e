"""The strip of the start page, for whatever page a site wants it on.

In a template: `{% load delegation_console %}{% delegation_strip %}`.
"""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib import admin

register = template.Library()


@register.inclusion_tag("admin/delegation_app/strip.html", takes_context=True)
def delegation_strip(context: dict[str, Any]) -> dict[str, Any]:
    """Show how the server is doing, as far as the user of the request may know."""
    from delegation_app.admin import dashboard  # noqa: PLC0415 - registers pages, so once all is ready

    request = context.get("request")
    user = getattr(request, "user", None)
    if request is None or user is None or not admin.site.has_permission(request):
        return {"strip": None}
    return {"strip": dashboard.of(admin.site, request)}
