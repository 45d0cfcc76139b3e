"""Admin pages while the database is unavailable, or a replica lags."""

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
    """Makes the pages of an admin class answer 503 instead of 500, and read no replica."""

    @property
    def urls(self) -> list[URLPattern]:
        """The pages of the admin class, wrapped."""
        patterns: list[URLPattern] = list(super().urls)
        for pattern in patterns:
            # Django's redirect is not a view of this class
            if isinstance(pattern, URLPattern):
                pattern.callback = answering(looked_at_now(pattern.callback))
        return patterns
