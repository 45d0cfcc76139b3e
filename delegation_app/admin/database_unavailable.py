"""Admin pages while the database is away, or while a replica of it lags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import URLPattern

from delegation_app.views.sign_in import looked_at_now
from delegation_app.views.unavailable import answering

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    _Base = ModelAdmin[Any]
else:
    _Base = object


class UnavailableDatabaseMixin(_Base):
    """Mixed into an admin class: its pages answer 503 instead of 500, and ask no replica."""

    @property
    def urls(self) -> list[URLPattern]:
        """The pages of the admin class, each of which answers."""
        patterns: list[URLPattern] = list(super().urls)
        for pattern in patterns:
            # One is a redirect of Django's, which has no view of this model
            if isinstance(pattern, URLPattern):
                pattern.callback = answering(looked_at_now(pattern.callback))
        return patterns
