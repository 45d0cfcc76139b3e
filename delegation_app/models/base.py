"""What all our tables share."""

from __future__ import annotations

from typing import TypeVar

from django.db import models, router

M = TypeVar("M", bound=models.Model)


class PrimaryManager(models.Manager[M]):
    """Reads where writes go: a replica may not know yet that something was revoked."""

    def get_queryset(self) -> models.QuerySet[M]:
        """Return a queryset on the database that takes this model's writes, or on a chosen one."""
        return super().get_queryset().using(self._db or router.db_for_write(self.model))


class PrimaryModel(models.Model):
    """A table whose rows are read where they are written, whichever way leads to them.

    Django follows relations and reloads rows by the base manager, which would ask the routers of
    the site for a database to read from. It is inherited from here, so no model names it and no
    migration does.
    """

    objects = PrimaryManager["PrimaryModel"]()

    class Meta:
        abstract = True
        base_manager_name = "objects"
