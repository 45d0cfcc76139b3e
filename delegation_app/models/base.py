"""Base classes of the models."""

from __future__ import annotations

from typing import TypeVar

from django.db import models, router

M = TypeVar("M", bound=models.Model)


class PrimaryManager(models.Manager[M]):
    """Reads from the primary: a replica may lag behind a revocation."""

    def get_queryset(self) -> models.QuerySet[M]:
        return super().get_queryset().using(self._db or router.db_for_write(self.model))


class PrimaryModel(models.Model):
    """A table that is always read from the primary database.

    Django follows relations and reloads rows with the base manager, which would read from the
    database that the site's routers return. Inheriting it keeps it out of migrations.
    """

    objects = PrimaryManager["PrimaryModel"]()

    class Meta:
        abstract = True
        base_manager_name = "objects"
