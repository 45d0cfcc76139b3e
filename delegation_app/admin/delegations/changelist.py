"""The list of delegations: the filter in its URL, and keyset pagination."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from delegation_app import clock
from delegation_app.admin import labels
from delegation_app.admin.delegations import summary
from delegation_app.admin.validated_lookups import ValidatedChangeList
from delegation_app.models import Delegation
from delegation_app.protocol.requests import reading
from delegation_app.services import name_search
from delegation_app.services.delegations import listing
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.paging import Cursor, InvalidCursor, SignedCursors

AT: Final = "at"
DAYS: Final = {"day": 1, "week": 7, "month": 30, "quarter": 90, "year": 365}
_Reader = Callable[[str, datetime], dict[str, Any]]


def chosen(params: Mapping[str, Any], now: datetime) -> DelegationFilter:
    """Return the filter of the list's parameters; it matches nothing if one is invalid.

    Args:
        params: the parameters of the list's URL.
        now: the end of all ages.
    """
    found: dict[str, Any] = {}
    for name, value in params.items():
        if name in _READERS:
            try:
                found |= _READERS[name](value, now)
            except ValueError:
                return DelegationFilter(nothing=True)
    return DelegationFilter(**found)


def _text(name: str) -> _Reader:
    def read(value: str, _now: datetime) -> dict[str, Any]:
        return {name: reading.text(value).strip()}

    return read


def _id(name: str) -> _Reader:
    def read(value: str, _now: datetime) -> dict[str, Any]:
        return {name: str(UUID(value))}

    return read


def _one_of(name: str, values: Mapping[str, Any]) -> _Reader:
    def read(value: str, _now: datetime) -> dict[str, Any]:
        if value not in values:
            raise ValueError(name)
        return {name: values[value]}

    return read


def _age(since: str, before: str, prefix: str) -> _Reader:
    def read(value: str, now: datetime) -> dict[str, Any]:
        days = DAYS.get(value.removeprefix(prefix))
        if days is None:
            raise ValueError(value)
        return {before if value.startswith(prefix) else since: now - timedelta(days=days)}

    return read


def _used(value: str, now: datetime) -> dict[str, Any]:
    if value == "never":
        return {"never_used": True}
    return _age("used_after", "not_used_after", "not-")(value, now)


_READERS: Final[dict[str, _Reader]] = {
    "q": _text("term"),
    "client": _text("client_id"),
    "grant": _text("grant_type"),
    "parent": _id("parent"),
    "root": _id("root"),
    "state": _one_of("state", {state: state for state in Delegation.State.values}),
    "from": _one_of("roots", {"roots": True, "chained": False}),
    "children": _one_of("has_children", {"yes": True, "no": False}),
    "age": _age("issued_after", "issued_before", "over-"),
    "used": _used,
}


PARAMETERS: Final = frozenset(_READERS)


class DelegationChangeList(ValidatedChangeList):
    """A page of delegations in the order of issue, without page numbers and without COUNT(*).

    Attributes:
        chosen: the filter of the URL.
        older, newer: URLs of the neighbouring pages; empty for none.
        unknown: a sentence for each unknown name in the filter, if there are no rows.
        looked_to: the time down to which rows were read, if the page is not full; None otherwise.
    """

    chosen: DelegationFilter
    older = newer = ""
    looked_to: datetime | None = None
    unknown: Sequence[str] = ()

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Omit the cursor."""
        self.filter_params.pop(AT, None)
        found: dict[str, Any] = super().get_filters_params(params)
        return found

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Return the rows that a bulk action may select from."""
        rows: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        now = clock.now()
        self.chosen = chosen(self.params, now)
        if request.method != "POST":
            # Only actions need the filtered rows, and names would be queried twice
            return rows
        return self.chosen.among(rows, now)

    def get_results(self, request: HttpRequest) -> None:
        cursors = SignedCursors(
            "admin", {name: self.params[name] for name in PARAMETERS & self.params.keys()}
        )
        try:
            start = cursors.read(self.params.get(AT))
        except InvalidCursor as error:
            raise IncorrectLookupParameters from error
        back = start is not None and start.newer
        page = listing.fetch(
            self.chosen, most=self.list_per_page, start=start, newest_first=not back
        )
        found = list(page.found)[::-1] if back else list(page.found)
        related = ("principal_user", "principal_client", "delegate", "parent__delegate")
        self.result_list = listing.read(found, self.root_queryset.select_related(*related))
        self._name(request)
        first, last = (found[0], found[-1]) if found else (start, start)
        before, after = (page.next_cursor, last) if back else (start and first, page.next_cursor)
        self.newer, self.older = (
            self._address(cursors, place, newer=newer)
            for place, newer in ((before, True), (after, False))
        )
        if not page.is_full and page.next_cursor is not None:
            self.looked_to = page.next_cursor.when
        if not found:
            visible = labels.visibility_of(self.model_admin.admin_site, request)
            self.unknown = self.chosen.unknown_names(visible)
        # Equal numbers, so that the template shows no total
        self.result_count = self.full_result_count = len(found)
        self.show_full_result_count, self.show_admin_actions = False, bool(found)
        self.can_show_all, self.multi_page = True, False
        # Django's template tags read the page numbers from it
        self.paginator = Paginator(self.result_list, max(1, len(found)))

    def _address(self, cursors: SignedCursors, place: Cursor | None, *, newer: bool) -> str:
        if place is None:
            return ""
        text: str = self.get_query_string({AT: cursors.text(replace(place, newer=newer))})
        return text

    def _name(self, request: HttpRequest) -> None:
        rows = self.result_list
        services = name_search.service_names(name for row in rows for name in row.audience)
        site = self.model_admin.admin_site
        for row in rows:
            row.sentence = summary.in_short(row, services)
            person = row.principal_user or row.principal_client
            row.person_link = labels.link(site, request, person, labels.cut(summary.principal(row)))
            client = labels.of_client(row.delegate, row.delegate_client_id)
            row.client_link = labels.link(site, request, row.delegate, labels.cut(client))
