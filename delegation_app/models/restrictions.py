"""Timestamps of the last restriction of a policy or a resource server.

Tokens carry what was allowed when they were issued. A status list re-evaluates only the tokens of
clients that were restricted since, against the current state. So a superfluous timestamp costs time
and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self, TypeVar

from django.db import models, router, transaction
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from delegation_app import clock, primary
from delegation_app.models.base import PrimaryModel

# Sent before the commit of every change that may affect issued tokens
tightened: Final = Signal()


class RestrictionTimes(PrimaryModel):
    """A row whose changes can restrict issued tokens."""

    # The columns whose changes can restrict
    TAKING: ClassVar[frozenset[str]]

    restricted_at = models.DateTimeField(_("restricted"), null=True, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and set the timestamps of a restriction."""
        with primary.reading(), transaction.atomic(using=router.db_for_write(type(self))):
            stored = type(self)._default_manager.select_for_update().filter(pk=self.pk).first()
            # The stored row may be newer than this one
            stamps = self.stamps_since(stored)
            for name, value in stamps.items():
                setattr(self, name, value)
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], *stamps}
            super().save(*args, **kwargs)
            tightened.send(sender=type(self))

    def stamps_since(self, stored: Self | None) -> dict[str, Any]:
        """Return the new timestamps; `stored` is the current row, None if there is none."""
        if self.takes_from(stored):
            return {"restricted_at": clock.now()}
        return {"restricted_at": None if stored is None else stored.restricted_at}

    def takes_from(self, stored: Self | None) -> bool:
        """Whether this allows less than the stored row, or than no row did."""
        raise NotImplementedError

    @classmethod
    def stamps_of(cls, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the timestamps that an UPDATE of these columns sets as well."""
        return {"restricted_at": clock.now()} if cls.TAKING & columns.keys() else {}


T = TypeVar("T", bound=RestrictionTimes)


class RestrictionQuerySet(models.QuerySet[T]):
    """Sets the timestamps in UPDATEs too."""

    def update(self, **kwargs: Any) -> int:
        """Update, with the timestamp of a possible restriction."""
        stamps = self.model.stamps_of(kwargs)
        updated = super().update(**{**stamps, **kwargs})
        if stamps:
            tightened.send(sender=self.model)
        return updated

    def tighten(self) -> None:
        """Set their timestamps after a restriction elsewhere."""
        self.update(restricted_at=clock.now())
        tightened.send(sender=self.model)
