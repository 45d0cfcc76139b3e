"""Who acts in the admin, and from where."""

from __future__ import annotations

from django.http import HttpRequest

from delegation_app import http
from delegation_app.protocol.claims import user_subject
from delegation_app.services.audit import RequestContext


def context_of(request: HttpRequest) -> RequestContext:
    """Return the origin of what an operator does with this request."""
    return http.context_of(request, actor=user_subject(request.user.pk))
