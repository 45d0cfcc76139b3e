"""What the querysets of all our tables share."""

from __future__ import annotations

from typing import TypeVar

from django.db import models, router

M = TypeVar("M", bound=models.Model)


class PrimaryManager(models.Manager[M]):
    """Reads where writes go: a replica may not know yet that something was revoked."""

    def get_queryset(self) -> models.QuerySet[M]:
        """Return a queryset on the database that takes this model's writes."""
        return super().get_queryset().using(router.db_for_write(self.model))
