"""Blocks in the admin: their pages, and lifting them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from django.contrib import admin, messages
from django.contrib.admin import AdminSite
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from delegation_app import toolkit
from delegation_app.admin import constraint_display, labels
from delegation_app.admin.base import ReadOnlyAdmin, context_of
from delegation_app.admin.blocks import block_text, lifting
from delegation_app.admin.confirmation import ConfirmationPage, ask, deed
from delegation_app.admin.delegations import summary
from delegation_app.admin.delegations.forms import RevocationForm
from delegation_app.admin.filters import LiftedFilter
from delegation_app.conf import conf
from delegation_app.models import Delegation, DelegationBlock
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services import name_search
from delegation_app.services.consent import regranted_authority
from delegation_app.services.delegations import blocks
from delegation_app.services.delegations.blocks import Authority

# More are on the list of blocks
_MAX_SHOWN: Final = 20


@admin.register(DelegationBlock)
class BlockAdmin(ReadOnlyAdmin):
    """Read-only, with one action: lift."""

    deed_pages: ClassVar = {"lift": "<path:object_id>/lift/"}
    list_display = ("what", "cause", "blocked_at", "blocked_by_whom", "reason", "ended")
    list_filter = (LiftedFilter, "cause", "blocked_at")
    sortable_by = ("blocked_at",)
    search_fields = ("subject",)
    search_help_text = _("A user, a client, a subject, a delegation id or a block id.")
    fieldsets = (
        (None, {"fields": ("what", "until", "public_id")}),
        (
            _("Bound"),
            {"fields": ("everything", "scopes", "audience", "constraint_list", "ends_at")},
        ),
        (_("Blocked"), {"fields": ("cause", "blocked_at", "blocked_by_whom", "reason")}),
        (
            _("As recorded"),
            {"fields": ("subject", "client_id_value", "blocked_by"), "classes": ("collapse",)},
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = list(super().get_fieldsets(request, obj))
        if obj is not None and obj.lifted_at is not None:
            fields = ("lifted_at", "lifted_by_whom", "lift_reason")
            fieldsets.insert(1, (_("Lifted"), {"fields": fields}))
        return fieldsets

    def search(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        """Match exact values, and users and clients by name."""
        if not term:
            return rows
        if (public_id := as_uuid(term, as_typed=True)) is not None:
            of_id = Q(public_id=public_id) | Q(delegation__public_id=public_id)
            return rows.filter(of_id)
        named = toolkit.application_model()._default_manager.filter(
            pk__in=name_search.clients_called(term)
        )
        subjects = [
            *name_search.subjects(term),
            *map(user_subject, name_search.people_called(term)),
        ]
        clients = [term, *named.values_list("client_id", flat=True)]
        return rows.filter(Q(subject__in=subjects) | Q(client_id_value__in=clients))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        known = names_of(found.result_list)
        # The filter has already excluded the blocks that do not bind
        is_judged = request.GET.get(LiftedFilter.parameter_name) == LiftedFilter.ACTIVE
        rows = [] if is_judged else [row for row in found.result_list if row.lifted_at is None]
        times = regranted_authority.times(rows)
        for row in found.result_list:
            row.known_names, row.allowed_again_at = known, times.get(row.pk)
        return found

    @admin.display(description=_("what is blocked"))
    def what(self, obj: DelegationBlock) -> str:
        """Show what is blocked, and for which principal."""
        return block_text.sentence(obj, _known(obj))

    @admin.display(description=_("until"))
    def until(self, obj: DelegationBlock) -> str:
        """Show until when the block binds, or since when it no longer does."""
        again = _allowed_again_at(obj)
        return block_text.until(obj) if again is None else block_text.overcome(again)

    @admin.display(description=_("ended"))
    def ended(self, obj: DelegationBlock) -> str:
        """Show the end of the block: lifted by an operator, or allowed again by the user."""
        if obj.lifted_at is not None:
            return block_text.lifted(obj.lifted_at)
        again = _allowed_again_at(obj)
        return "-" if again is None else block_text.overcome(again)

    @admin.display(description=_("constraints"))
    def constraint_list(self, obj: DelegationBlock) -> str:
        return constraint_display.as_list(obj.constraints)

    @admin.display(description=_("blocked by"))
    def blocked_by_whom(self, obj: DelegationBlock) -> str:
        """Name the user or operator who created the block."""
        return labels.with_name(obj.blocked_by, _known(obj))

    @admin.display(description=_("lifted by"))
    def lifted_by_whom(self, obj: DelegationBlock) -> str:
        return labels.with_name(obj.lifted_by, labels.of_subjects([obj.lifted_by]))

    def page_context(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        found = ((_("Delegation"), obj.delegation), (_("Consent"), obj.consent))
        return {
            "subtitle": _parties(obj),
            "related": [
                (label, labels.link(self.admin_site, request, row, summary.named(row)))
                for label, row in found
                if row is not None
            ],
            "lift_url": self.url("lift", obj.pk) if self.may_lift(request, obj) else "",
        }

    def may_lift(self, request: HttpRequest, obj: DelegationBlock) -> bool:
        """Whether the block binds, and this operator may lift it."""
        return obj.lifted_at is None and self.may(request, "lift")

    @deed
    def lift_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Confirm and lift the block."""
        self.require(request, "lift")
        block: DelegationBlock = self.find(request, object_id)
        back = self.url("change", block.pk)
        if block.lifted_at is not None:
            self.message_user(request, _("The block was lifted before."), messages.WARNING)
            return HttpResponseRedirect(back)
        form = RevocationForm(request.POST if request.method == "POST" else None)
        if form.is_valid():
            reason = form.cleaned_data["reason"]
            if conf.second_operator:
                return lifting.propose(self, request, block, reason=reason, back=back)
            blocks.lift(block, context_of(request), reason=reason)
            self.message_user(request, _("The block was lifted."), messages.SUCCESS)
            return HttpResponseRedirect(back)
        return ask(self, request, _question(self, block, form, back))


def names_of(found: Sequence[DelegationBlock]) -> dict[str, str]:
    """Return the names of the subjects, clients and resource servers of these blocks."""
    return {
        **labels.of_subjects(one for block in found for one in (block.subject, block.blocked_by)),
        **name_search.client_names(block.client_id_value for block in found),
        **name_search.service_names(one for block in found for one in block.audience or ()),
    }


def _remaining(page: BlockAdmin, block: DelegationBlock) -> list[str]:
    """Return the other binding blocks of the pair, as links."""
    rows = list(blocks.beside(block)[: _MAX_SHOWN + 1])
    again = regranted_authority.times(rows, subject=block.subject, client_id=block.client_id_value)
    binding = [row for row in rows if row.pk not in again]
    known = names_of(binding)
    lines: list[str] = [
        format_html(
            '{} <a href="{}">{}</a>',
            gettext("This remains:"),
            page.url("change", row.pk),
            block_text.sentence(row, known),
        )
        for row in binding[:_MAX_SHOWN]
    ]
    if len(binding) > _MAX_SHOWN:
        lines.append(gettext("And more."))
    return lines


def _allowed_again_at(block: Any) -> datetime | None:
    if block.lifted_at is not None:
        return None
    if not hasattr(block, "allowed_again_at"):
        block.allowed_again_at = regranted_authority.times([block]).get(block.pk)
    found: datetime | None = block.allowed_again_at
    return found


def _known(block: Any) -> dict[str, str]:
    known: dict[str, str] | None = getattr(block, "known_names", None)
    return names_of([block]) if known is None else known


def of_delegation(
    page: ReadOnlyAdmin, request: HttpRequest, row: Delegation
) -> dict[str, list[tuple[str, str]]]:
    """Return the blocks of the pair of a delegation: the binding ones, and those allowed again.

    A child's client has no consent page. The consent of the app above it can allow its authority
    again, as far as that consent includes it.
    """
    subject, client_id = row.subject, row.delegate_client_id
    found = blocks.of_pair(subject, client_id)
    if row.parent_id is None or row.allowed_at is None:
        again = regranted_authority.times(found, subject=subject, client_id=client_id)
    else:
        binding = {block.pk for block in blocks.of_child(row, client_id, Authority.of(row))}
        again = {block.pk: row.allowed_at for block in found if block.pk not in binding}
    kept = [block for block in found if block.pk not in again]
    over = [block for block in found if block.pk in again]
    lines = listed(page, request, over[-_MAX_SHOWN:])
    times = [block_text.overcome(again[block.pk]) for block in over[-_MAX_SHOWN:]]
    return {
        "blocks": listed(page, request, kept[:_MAX_SHOWN]),
        "allowed_again": [
            (f"{sentence} {time}", url) for (sentence, url), time in zip(lines, times, strict=False)
        ],
    }


def _parties(block: DelegationBlock) -> str:
    known, (who, client_id) = _known(block), (block.subject, block.client_id_value)
    any_user, any_client = gettext("any user"), gettext("any client")
    return f"{known.get(who, who) or any_user} → {known.get(client_id, client_id) or any_client}"


def listed(
    page: ReadOnlyAdmin, request: HttpRequest, found: Sequence[DelegationBlock]
) -> list[tuple[str, str]]:
    """Return a sentence and a URL for each block; none without view permission."""
    site = page.admin_site
    if not labels.may_see(site, request, DelegationBlock):
        return []
    known = names_of(found)
    return [
        (block_text.sentence(block, known), labels.address(site, request, block)) for block in found
    ]


def lists(site: AdminSite, request: HttpRequest, row: Delegation) -> list[tuple[Any, str]]:
    """Return links to the active blocks of the principal and of the client of a delegation."""
    found: list[tuple[Any, str]] = []
    for label, term in (
        (_("Blocks of the principal"), row.subject),
        (_("Blocks of the client"), row.delegate_client_id),
    ):
        url = labels.list_address(site, request, DelegationBlock, q=term, lifted="no")
        if url:
            found.append((label, format_html('<a href="{}">{}</a>', url, gettext("show"))))
    return found


def bindings(*taken: DelegationBlock) -> list[str]:
    """Return what the blocks of a pending change bind, and until when."""
    known = names_of(taken)
    lines = [block_text.sentence(block, known) for block in taken]
    return [*lines, *dict.fromkeys(block_text.until(block) for block in taken)]


def _question(
    page: BlockAdmin, block: DelegationBlock, form: RevocationForm, back: str
) -> ConfirmationPage:
    remaining = _remaining(page, block)
    if remaining:
        question = gettext(
            "Further blocks of the pair remain. What they bind cannot be obtained until they are "
            "lifted too, or the user allows it on a page."
        )
    else:
        question = gettext(
            "What it binds can be obtained again, by the next request and without a page."
        )
    return ConfirmationPage(
        title=gettext("Lift this block?"),
        question=question,
        consequences=[
            page.what(block),
            gettext("What was revoked stays revoked. What was narrowed stays as it is."),
            *remaining,
        ],
        button=gettext("Lift the block"),
        back=back,
        form=form,
        record=block,
        about=_parties(block),
    )
