"""Pages of what is registered: each save is recorded, and one that widens may have to wait."""

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

# No header of a request becomes a key like this one
APPROVAL: Final = "delegation.approval"


@dataclass(frozen=True, slots=True)
class Register:
    """One of the two tables of the registry.

    Attributes:
        kind: what a change of it is called.
        name: the column that a row is known by.
        table: which changes of a row widen.
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
    """Stands in a request that applies a proposal.

    Attributes:
        proposal: what was approved.
        origin: the second operator.
        is_applied: whether it was made.
    """

    proposal: ProposedChange
    origin: RequestContext
    is_applied: bool = field(default=False, init=False)

    def accept(self, values: Diff, further: Sequence[str]) -> None:
        """Note that the change was made.

        Args:
            values: what differs now.
            further: the names of what differs beside that.

        Raises:
            Stale: it is not the change that both operators saw.
        """
        seen = (self.proposal.before, self.proposal.after)
        if further or (values.before, values.after) != seen:
            raise Stale("What is on file has changed since this was proposed.")
        self.is_applied = True

    def operators(self) -> dict[str, Any]:
        """Return what the event of the change says about the two."""
        return {
            "proposal": self.proposal.pk,
            "proposed_by": self.proposal.proposed_by,
            "approved_by": self.origin.actor,
        }


class Waits(PermissionDenied):
    """Undoes a save that has to wait.

    Where no page of ours catches it, as in an editable list of a site, it is a plain refusal.
    """

    def __init__(self, wanted: ProposedValues, *, has_unkept: bool) -> None:
        super().__init__("This change waits for a second operator.")
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
        """Keep a change that has to wait, once the database has undone it."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Waits as waits:
            if waits.has_unkept:
                return pending_change.refuse(self, request)
            return pending_change.keep(self, request, waits.wanted)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Read what is on file under a lock, then save."""
        form.on_file = self.state_of(obj) if change else None
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        """Save, and record what differs now, all of it as one change.

        Raises:
            Waits: a second operator has to approve it.
            Stale: this request applies a proposal, and does something else.
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
        """Save what hangs on the rows of inlines."""

    def state_of(self, obj: Any) -> RegistryState | None:
        """Return what is on file of a row, and lock it."""
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
