"""Pages of the registry: each change is recorded, and may need a second operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from delegation_app.admin.base import context_of
from delegation_app.admin.proposals import pending_change
from delegation_app.admin.proposals.further_fields import further_fields
from delegation_app.conf import conf
from delegation_app.models import ProposedChange
from delegation_app.services.audit import RequestContext
from delegation_app.services.clients import changes, snapshots, widening
from delegation_app.services.clients.proposals import ProposedValues, Stale
from delegation_app.services.clients.snapshots import Diff, RegistryState
from delegation_app.services.transactions import nested

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
else:
    _Admin = object

# Cannot be set by a request header
APPROVAL: Final = "delegation.approval"


@dataclass(frozen=True, slots=True)
class Register:
    """One of the two tables of the registry.

    Attributes:
        kind: of its proposals.
        name: the identifying column.
        table: which changes of a row grant more access.
        state: reads and locks a row by its key.
        record: writes the audit event.
    """

    kind: ProposedChange.Kind
    name: str
    table: Callable[[Any], Mapping[str, widening.Wider]]
    state: Callable[[Any], RegistryState | None]
    record: Callable[..., None]


CLIENTS: Final = Register(
    ProposedChange.Kind.CLIENT,
    "client_id",
    lambda row: widening.of_client(row.client_type),
    snapshots.client,
    changes.record_client_change,
)
RESOURCE_SERVERS: Final = Register(
    ProposedChange.Kind.RESOURCE_SERVER,
    "identifier",
    lambda _row: widening.RESOURCE_SERVER,
    snapshots.resource_server,
    changes.record_resource_server_change,
)


@dataclass(slots=True)
class Approval:
    """Marks a request that applies a proposal.

    Attributes:
        proposal: the approved proposal.
        origin: the second operator.
        is_applied: whether the change was made.
    """

    proposal: ProposedChange
    origin: RequestContext
    is_applied: bool = field(default=False, init=False)

    def accept(self, values: Diff, further: Sequence[str]) -> None:
        """Mark the change as applied.

        Args:
            values: the actual differences.
            further: the names of further changed fields.

        Raises:
            Stale: they differ from the approved change.
        """
        seen = (self.proposal.before, self.proposal.after)
        if further or (values.before, values.after) != seen:
            raise Stale("The record has changed since this was proposed.")
        self.is_applied = True

    def operators(self) -> dict[str, Any]:
        """Return the operators for the audit event."""
        return {
            "proposal": self.proposal.pk,
            "proposed_by": self.proposal.proposed_by,
            "approved_by": self.origin.actor,
        }


class Waits(PermissionDenied):
    """Rolls back a save that needs a second operator.

    Outside the pages of this app, as in a site's editable list, it is a plain 403.
    """

    def __init__(self, wanted: ProposedValues, *, has_unkept: bool) -> None:
        super().__init__("This change needs a second operator.")
        self.wanted = wanted
        self.has_unkept = has_unkept


class Registered(_Admin):
    """Mixed into the admins of clients and of resource servers."""

    REGISTER: ClassVar[Register]

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Store a pending change after the rollback."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Waits as waits:
            if waits.has_unkept:
                return pending_change.refuse(self, request)
            return pending_change.keep(self, request, waits.wanted)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Read the stored row under a lock, then save."""
        form.on_file = self.state_of(obj) if change else None
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Save, and record all differences as one change.

        Raises:
            Waits: a second operator must approve it.
            Stale: the request applies a proposal, with a different result.
        """
        super().save_related(request, form, formsets, change)
        self.save_further(formsets)
        after = self.state_of(form.instance) or RegistryState()
        values = snapshots.diff(form.on_file, after)
        known = after.values.keys() | after.secrets.keys()
        further = further_fields(form, formsets, known)
        approval: Approval | None = request.META.get(APPROVAL)
        if approval is not None:
            approval.accept(values, further)
        elif conf.second_operator and widening.widened(self.REGISTER.table(form.instance), values):
            wanted = self._wanted(form.instance, values, is_new=not change)
            wanted = replace(wanted, posted=pending_change.posted(request, form, formsets))
            raise Waits(wanted, has_unkept=bool(further) or (change and _is_unkept(values)))
        if values.fields or further or not change:
            self.REGISTER.record(
                form.instance,
                approval.origin if approval else context_of(request),
                change="changed" if change else "added",
                values=values,
                fields=further,
                decided=approval.operators() if approval else None,
            )

    def save_further(self, formsets: Any) -> None:
        """Save rows that depend on inlines."""

    def state_of(self, obj: Any) -> RegistryState | None:
        """Return the state of a stored row, and lock it."""
        with nested():
            return self.REGISTER.state(obj.pk)

    def record_deletion(self, request: HttpRequest, obj: Any) -> None:
        """Record a row that is about to be deleted."""
        values = snapshots.diff(self.state_of(obj), None)
        self.REGISTER.record(obj, context_of(request), change="deleted", values=values)

    def _wanted(self, row: Any, values: Diff, *, is_new: bool) -> ProposedValues:
        changes = ProposedChange.Change
        return ProposedValues(
            kind=self.REGISTER.kind,
            change=changes.ADDED if is_new else changes.CHANGED,
            key="" if is_new else str(row.pk),
            name=str(getattr(row, self.REGISTER.name)),
            values=values,
        )


def _is_unkept(values: Diff) -> bool:
    return bool(values.secrets) or bool(widening.UNKEPT & values.after.keys())
