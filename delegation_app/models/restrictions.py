"""When a policy or a resource server last took something away.

Tokens say what was allowed when they were issued. A status list looks again at the tokens of those
clients that were tightened since, and at no others; what it then finds is judged by what is true
now. So a stamp too many costs time, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self, TypeVar

from django.db import models, router, transaction
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from delegation_app import clock, primary
from delegation_app.models.base import PrimaryModel

# Sent with every change that may concern tokens that are out already, before its commit
tightened: Final = Signal()


class RestrictionTimes(PrimaryModel):
    """A row that can take something away from tokens that are out already."""

    # Columns that do, when they change
    TAKING: ClassVar[frozenset[str]]

    restricted_at = models.DateTimeField(_("tightened"), null=True, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store it, and when it took something away."""
        with primary.reading(), transaction.atomic(using=router.db_for_write(type(self))):
            stored = type(self)._default_manager.select_for_update().filter(pk=self.pk).first()
            # What stands there may be newer than what was read
            stamps = self.stamps_since(stored)
            for name, value in stamps.items():
                setattr(self, name, value)
            if kwargs.get("update_fields") is not None:
                kwargs["update_fields"] = {*kwargs["update_fields"], *stamps}
            super().save(*args, **kwargs)
            tightened.send(sender=type(self))

    def stamps_since(self, stored: Self | None) -> dict[str, Any]:
        """Return the columns that tell when, as they shall be.

        Args:
            stored: the row as it is; None if there is none.
        """
        if self.takes_from(stored):
            return {"restricted_at": clock.now()}
        return {"restricted_at": None if stored is None else stored.restricted_at}

    def takes_from(self, stored: Self | None) -> bool:
        """Tell whether this allows less than the stored row does, or than none did."""
        raise NotImplementedError

    @classmethod
    def stamps_of(cls, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return what an UPDATE of these columns stamps beside them."""
        return {"restricted_at": clock.now()} if cls.TAKING & columns.keys() else {}


T = TypeVar("T", bound=RestrictionTimes)


class RestrictionQuerySet(models.QuerySet[T]):
    """Rows that are stamped when they are updated, too."""

    def update(self, **kwargs: Any) -> int:
        """Update, and stamp what may have taken something away."""
        stamps = self.model.stamps_of(kwargs)
        updated = super().update(**{**stamps, **kwargs})
        if stamps:
            tightened.send(sender=self.model)
        return updated

    def tighten(self) -> None:
        """Stamp them: something else took something away from them."""
        self.update(restricted_at=clock.now())
        tightened.send(sender=self.model)
