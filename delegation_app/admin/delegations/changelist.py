"""The list of delegations: what its address asks for, and a page of it at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from delegation_app.services.delegations import listing
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.delegations.listing import ListingPage, ListingPosition

OLDER: Final = "older"
NEWER: Final = "newer"
DAYS: Final = {"day": 1, "week": 7, "month": 30, "quarter": 90, "year": 365}
_PLACES: Final = (OLDER, NEWER)
_Reader = Callable[[str, datetime], dict[str, Any]]


def chosen(params: Mapping[str, Any], now: datetime) -> DelegationFilter:
    """Return what the parameters of a list choose; nothing at all if one makes no sense.

    Args:
        params: of the address of the list.
        now: the time from which ages count.
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
    """A page of delegations in the order of issue; no page has a number, and nothing is counted.

    Attributes:
        chosen: what the address asks for.
        older, newer: addresses of the next page on either side; empty if there is none.
        unknown: a sentence for each name in the address that does not exist, if nothing was found.
        looked_to: how far back it looked, where that did not fill the page; None otherwise.
    """

    chosen: DelegationFilter
    older = newer = ""
    looked_to: datetime | None = None
    unknown: Sequence[str] = ()

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Leave out where the page begins."""
        for place in _PLACES:
            self.filter_params.pop(place, None)
        found: dict[str, Any] = super().get_filters_params(params)
        return found

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Return all that the filters keep: what a bulk action may choose from."""
        rows: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        now = clock.now()
        self.chosen = chosen(self.params, now)
        if request.method != "POST":
            # Only an action wants all of them, and names would be looked up twice
            return rows
        return self.chosen.among(rows, now)

    def get_results(self, request: HttpRequest) -> None:
        """Read one page."""
        back = NEWER in self.params
        stretch = self._look(back=back)
        found = list(reversed(stretch.found)) if back else list(stretch.found)
        related = ("principal_user", "principal_client", "delegate", "parent__delegate")
        self.result_list = listing.read(found, self.root_queryset.select_related(*related))
        self._name(request)
        self._link(stretch, found, back=back)
        if not found:
            self.unknown = self.chosen.unknown(
                labels.visibility_of(self.model_admin.admin_site, request)
            )
        # The same, so that no page speaks of results that nobody counted
        self.result_count = self.full_result_count = len(found)
        self.show_full_result_count, self.show_admin_actions = False, bool(found)
        self.can_show_all, self.multi_page = True, False
        # Django's own tags ask it for the numbers of the pages
        self.paginator = Paginator(self.result_list, max(1, len(found)))

    def _look(self, *, back: bool) -> ListingPage:
        text = self.params.get(NEWER if back else OLDER)
        try:
            start = None if text is None else ListingPosition.parse(text)
        except ValueError as error:
            raise IncorrectLookupParameters from error
        most = self.list_per_page
        return listing.fetch(self.chosen, most=most, start=start, newest_first=not back)

    def _link(self, stretch: ListingPage, found: list[ListingPosition], *, back: bool) -> None:
        def address(name: str, place: ListingPosition | None) -> str:
            if place is None:
                return ""
            others = {other: None for other in _PLACES if other != name}
            text: str = self.get_query_string({name: str(place), **others})
            return text

        first, last = (found[0], found[-1]) if found else (None, None)
        start = self._start()
        if back:
            self.newer, self.older = address(NEWER, stretch.goes_on), address(OLDER, last or start)
        else:
            self.older = address(OLDER, stretch.goes_on)
            self.newer = address(NEWER, (first or start) if start else None)
        if not stretch.is_full and stretch.goes_on is not None:
            self.looked_to = stretch.goes_on.issued_at

    def _start(self) -> ListingPosition | None:
        text = self.params.get(OLDER) or self.params.get(NEWER)
        return ListingPosition.parse(text) if text else None

    def _name(self, request: HttpRequest) -> None:
        """Give each row its sentence and its links, in one query."""
        rows = self.result_list
        services = labels.of_services(name for row in rows for name in row.audience)
        site = self.model_admin.admin_site
        for row in rows:
            row.sentence = summary.in_short(row, services)
            person = row.principal_user or row.principal_client
            row.person_link = labels.link(site, request, person, labels.cut(summary.principal(row)))
            client = labels.of_client(row.delegate, row.delegate_client_id)
            row.client_link = labels.link(site, request, row.delegate, labels.cut(client))
