"""Lists of the admin that validate the lookups of their URLs and the keys of their forms.

Django passes the values of a URL to the database, which fails for a year 99999, a key of forty
digits or a NUL. Here the response is a page with status 400.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import BadRequest, EmptyResultSet, ValidationError
from django.db.models import DateTimeField, Field, IntegerField, ManyToManyField, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from delegation_app.protocol.requests import reading

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]
    _Options = admin.options.BaseModelAdmin[Any]
    _Multiple = forms.ModelMultipleChoiceField[Any]
    _Changes = ChangeList
else:
    _Admin = _Options = object
    _Multiple = forms.ModelMultipleChoiceField
    _Changes = ChangeList


_SECRET: Final = frozenset({"client_secret", "encrypted_private_key"})
_WAYS: Final = ("", "__exact", "__gt", "__gte", "__lt", "__lte")


class InvalidLookup(BadRequest):
    """A URL or a form has a value that the database cannot store."""


class StorableDateTimeField(forms.DateTimeField):
    """A time that is valid in every time zone."""

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
            return None if found is None else reading.bounded(found)
        except (ValueError, OverflowError) as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error


class StorableKeysField(_Multiple):
    """Several rows by key."""

    def clean(self, value: Any) -> Any:
        """Return the rows. A key that the database cannot store is an invalid choice."""
        if self.queryset is None:
            return super().clean(value)
        pk = self.queryset.model._meta.pk
        for key in value or ():
            if not _is_key(pk, key):
                raise ValidationError(
                    self.error_messages["invalid_pk_value"],
                    code="invalid_pk_value",
                    params={"pk": str(key)[:40]},
                )
        return super().clean(value)


class ValidatedKeysMixin(_Options):
    """Validates the keys of a form."""

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Validate keys before the database is queried."""
        kwargs.setdefault("form_class", StorableKeysField)
        return super().formfield_for_manytomany(db_field, request, **kwargs)


class ValidatedChangeList(_Changes):
    """A list that validates its query before it runs."""

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Return the rows that match the URL.

        Raises:
            InvalidLookup: the database cannot run the query.
        """
        rows: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        if request.GET:
            _require_executable(rows)
        return rows


class ValidatedLookupsMixin(ValidatedKeysMixin, _Admin):
    """Validates the URL of a list."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse lookups that Django cannot parse, and lookups of secrets.

        Filtering by the prefix of a column discloses the column.
        """
        words = lookup.split("__")
        if words[-1] == "range" or not _SECRET.isdisjoint(words):
            return False
        return super().lookup_allowed(lookup, value, request)

    def get_changelist(self, request: HttpRequest, **_kwargs: Any) -> type[ChangeList]:
        del request
        return ValidatedChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return no rows for a term that cannot be stored. Autocomplete fields use this too."""
        if not reading.is_storable(search_term):
            return queryset.none(), False
        if (found := self.search(queryset, search_term.strip())) is not None:
            return found, False
        return super().get_search_results(request, queryset, search_term)

    def search(self, rows: QuerySet[Any], term: str) -> QuerySet[Any] | None:
        """Return the rows that match a search term; None for Django's own search."""
        del rows, term
        return None

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, or an error page for an invalid URL."""
        try:
            _require_texts(request)
            self._require_keys(request)
            self._require_moments(request)
            response: HttpResponse = super().changelist_view(request, extra_context)
        except InvalidLookup as error:
            return self._refuse(request, str(error))
        return response

    def _require_keys(self, request: HttpRequest) -> None:
        for key in request.POST.getlist(ACTION_CHECKBOX_NAME):
            if not _is_key(self.opts.pk, key):
                raise InvalidLookup(_("The selection is not a row of this list. Select it again."))

    def _require_moments(self, request: HttpRequest) -> None:
        columns = {
            f"{field.name}{way}"
            for field in self.opts.concrete_fields
            if isinstance(field, DateTimeField)
            for way in _WAYS
        }
        zone = timezone.get_current_timezone()
        for name in columns & request.GET.keys():
            try:
                when = reading.moment(request.GET[name], zone)
            except ValueError as error:
                words = {"name": name}
                raise InvalidLookup(_("%(name)s is not a valid time.") % words) from error
            # With its offset, as Django itself writes it
            sent = request.GET.copy()
            sent[name] = str(when)
            request.GET = sent  # type: ignore[assignment]  # as Django's UserAdmin does with POST

    def _refuse(self, request: HttpRequest, problem: str) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("This list cannot be shown"),
            "opts": self.opts,
            "media": self.media,
            "problem": problem,
        }
        name = "admin/delegation_app/invalid_lookup.html"
        return TemplateResponse(request, name, context, status=HTTPStatus.BAD_REQUEST)


def _require_texts(request: HttpRequest) -> None:
    sent = [*request.GET.lists(), *request.POST.lists()]
    for name, values in sent:
        if not all(map(reading.is_storable, (name, *values))):
            raise InvalidLookup(_("A value has a character that cannot be stored."))


def _require_executable(rows: QuerySet[Any]) -> None:
    try:
        _sql, values = rows.query.sql_with_params()
    except EmptyResultSet:
        return
    # Such as a date that does not exist in the database's time zone
    except (ValueError, OverflowError) as error:
        raise InvalidLookup(_("A date is outside the calendar.")) from error
    for value in _flat(values):
        if not reading.is_storable(value):
            raise InvalidLookup(_("A value is too large."))


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def _is_key(pk: Field[Any, Any], sent: Any) -> bool:
    try:
        if isinstance(pk, IntegerField):
            reading.key(str(sent))
        # Such as a UUID
        return reading.is_storable(pk.to_python(sent))
    except (ValidationError, ValueError):
        return False
