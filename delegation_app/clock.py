"""The clock that everything stored is compared with."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone


def now() -> datetime:
    """Return the present moment in UTC.

    Raises:
        ImproperlyConfigured: USE_TZ is False; Django would return a time without a zone.
    """
    if not settings.USE_TZ:
        raise ImproperlyConfigured("delegation_app needs USE_TZ = True.")
    return timezone.now()
