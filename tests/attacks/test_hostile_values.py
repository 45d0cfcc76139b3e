"""Every parameter of every page of ours x a table of values that no database takes: never a 500."""

import itertools
import json
import os
from html.parser import HTMLParser
from urllib.parse import quote, urlencode

import pytest
from django.apps import apps

from delegation_app.admin.audit.as_of import AsOfForm
from delegation_app.admin.audit.filter_form import TrailForm
from delegation_app.admin.delegations import changelist
from delegation_app.views.api.operator_serializers import (
    DelegationFilterSerializer,
    DelegationQuery,
)
from tests.support import site_map
from tests.support.world import FORM

# A list compares any column with these, if its address says so
HARD = [
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01", "99999", "9" * 40,
    f"-{'9' * 40}", f"1,{'9' * 40}", "\x00",
]  # fmt: skip
VALUES = [
    *HARD,
    # The ends of the calendar, and beyond
    "9999-12-31T23:59:59.999999",
    "10000-01-01T00:00:00Z",
    # Places in lists
    "0001-01-01T00:00:00+23:59~1",
    "9999-12-31T23:59:59-23:59~1",
    f"2026-01-01T00:00:00+00:00~{'9' * 40}",
    f"o{'9' * 17}-{'9' * 18}",
    # Numbers
    "9" * 19,
    "9" * 5000,
    "\u0663",
    # Text
    "a\x00b",
    "\ud800",
    "\x1b[31m\n",
    "\u202e\u2028",
    "[" * 900,
]
RAW = ["%00", "%ff", "%ed%a0%80", "%c0%80", "%", "%zz"]
KINDS = [
    "delegation_app:",
    "admin:autocomplete",
    "admin:oauth2_provider_application_",
    *(
        f"admin:delegation_app_{model}_"
        for model in (
            "auditevent", "consentrecord", "delegation", "delegationblock", "proposedchange",
            "resourceserver", "signingkey",
        )
    ),
]  # fmt: skip
LISTS = ("q", "p", "o", "e", "all", "_popup", "_to_field", "_changelist_filters", "_facets")
# What the pages themselves read
OF_DELEGATIONS = (*changelist.PARAMETERS, "at", "client_key")
READ = {
    "admin:delegation_app_auditevent_changelist": (
        *({"since": "from", "until": "to"}.get(name, name) for name in TrailForm.base_fields),
    ),
    "admin:delegation_app_auditevent_asof": tuple(AsOfForm.base_fields),
    "admin:delegation_app_delegation_changelist": OF_DELEGATIONS,
    "admin:delegation_app_delegation_bulk": OF_DELEGATIONS,
    "admin:autocomplete": ("term", "page", "app_label", "model_name", "field_name"),
    "delegation_app:connections": ("show", "app", "at"),
    "delegation_app:api-connections": ("show", "app", "unused_days", "limit", "cursor"),
    "delegation_app:api-delegations": tuple(DelegationQuery().fields),
    "delegation_app:authorize": ("client_id", "state", "scope", "max_age", "prompt", "resource"),
    "delegation_app:device": ("user_code",),
    "delegation_app:status-list": ("time",),
}
DATES = ("", "__gte", "__date", "__year", "__year__lt", "__hour", "__range", "__in")
NUMBERS = ("", "__in", "__gte", "__lt", "__range")
TEXTS = ("", "__in", "__icontains")


def test_kinds_when_compared_with_the_urls():
    names = [name for name, _route in site_map.patterns()]
    missing = [
        name
        for name in names
        if name.startswith(("delegation_app:", "admin:delegation_app"))
        and not name.startswith(tuple(KINDS))
    ]
    assert missing == []


@pytest.fixture
def town(world):
    return site_map.Town(world)


def addresses(town, kind):
    for name, route in site_map.patterns():
        if name.startswith(kind):
            for line in site_map.listed(name):
                yield name, town.address(line, name, route).split("?")[0]


def some(cases):
    """Every seventh case, so that each parameter meets other values; HOSTILE_VALUES=all for all."""
    step = 1 if os.environ.get("HOSTILE_VALUES") == "all" else 7
    return itertools.islice(cases, None, None, step)


def pair(name, value):
    return f"{quote(name)}={quote(value.encode('utf-8', 'surrogatepass'))}"


def lookups(name):
    """What the list of a model can be asked about each of its columns."""
    for model in apps.get_models():
        opts = model._meta
        if name == f"admin:{opts.app_label}_{opts.model_name}_changelist":
            yield from (f"pk{lookup}" for lookup in NUMBERS)
            for field in opts.concrete_fields:
                yield from (field.name + lookup for lookup in _lookups_of(field))


def _lookups_of(field):
    kind = field.get_internal_type()
    if kind == "DateTimeField":
        return DATES
    return NUMBERS if "Integer" in kind or "Auto" in kind or field.is_relation else TEXTS


def asked(name):
    """Yield queries for a page: one value for each parameter, then all at once."""
    read = READ.get(name, ())
    for value in VALUES:
        yield from (pair(parameter, value) for parameter in read)
        yield "&".join(pair(parameter, value) for parameter in (*LISTS, *read))
    for value in HARD:
        yield from (pair(parameter, value) for parameter in (*lookups(name), *_of_lists(name)))
    for raw in RAW:
        yield "&".join(f"{parameter}={raw}" for parameter in (*LISTS, *read))


def _of_lists(name):
    return LISTS if name.endswith("_changelist") else ()


@pytest.mark.parametrize("kind", KINDS)
def test_page_when_a_parameter_is_hostile(town, kind):
    browsers = [town.browser(role) for role in ("superuser", "alice")]
    wrong = [
        (address, query[:100])
        for name, address in addresses(town, kind)
        for browser in browsers[: 2 if kind == "delegation_app:" else 1]
        for query in some(asked(name))
        if browser.get(f"{address}?{query}").status_code in {500, 502, 503}
    ]
    assert wrong == []


# What forms send


class Form(HTMLParser):
    """The fields of a page, as a browser would send them."""

    def __init__(self, html):
        super().__init__()
        self.fields, self._select, self._area = {}, None, None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        name = attrs.get("name")
        if tag == "input" and name:
            kind = attrs.get("type", "text")
            if kind not in {"checkbox", "radio"} or "checked" in attrs:
                self._add(name, attrs.get("value", "on" if kind == "checkbox" else ""))
            self.fields.setdefault(name, [])
        if tag == "select":
            self._select = name
        if tag == "option" and self._select and "selected" in attrs:
            self._add(self._select, attrs.get("value", ""))
        if tag == "textarea" and name:
            self._area = name
            self.fields.setdefault(name, [""])

    def handle_data(self, data):
        if self._area:
            self.fields[self._area] = [data]

    def handle_endtag(self, tag):
        if tag == "textarea":
            self._area = None
        if tag == "select":
            if self._select:
                self.fields.setdefault(self._select, [])
            self._select = None

    def _add(self, name, value):
        self.fields.setdefault(name, []).append(value)


POSTED = [HARD[0], *HARD[4:], "9" * 5000, "[" * 900]
DEEDS = {"action": ["revoke_selected"], "_selected_action": ["1"], "delegations": ["1"]}


def sent(town, address):
    """Yield the forms that a page's address gets, each with one value that is hostile."""
    page = town.get("superuser", address)
    html = b"".join(page).decode()
    fields = {name: [value] for name, value in town.fields("superuser").items()}
    fields |= Form(html).fields | {"csrfmiddlewaretoken": [site_map.TOKEN]}
    if "_selected_action" in fields:
        fields |= DEEDS
    for name in fields:
        for value in POSTED if name != "csrfmiddlewaretoken" else ():
            yield name, value, {**fields, name: [value]}


@pytest.mark.parametrize("kind", KINDS)
def test_form_when_a_field_is_hostile(town, kind):
    wrong = []
    for _name, address in addresses(town, kind):
        if "/api/" in address:
            continue
        for name, value, fields in some(sent(town, address)):
            with site_map.undone():
                answer = town.browser("superuser").post(
                    address,
                    urlencode(fields, doseq=True),
                    content_type=FORM,
                    HTTP_ORIGIN="https://testserver",
                )
                b"".join(answer)
            if answer.status_code in {500, 502, 503}:
                wrong.append((address, name, value[:40]))
    assert wrong == []


MEMBERS = [*HARD, 10**40, -(10**40), 1e308, 0, None, True, [], {}, [[]], "\ud800", "x" * 3000]


def test_api_when_a_member_is_hostile(town):
    wrong = []
    for _name, address in addresses(town, "delegation_app:api-"):
        for role in ("alice", "superuser"):
            good = town.members(role, address)
            more = ("expires_at", "scopes", "audience", "constraints", "bar", "confirm", "filter")
            for member in {*good, *more}:
                for value in MEMBERS:
                    body = json.dumps({**good, member: value})
                    with site_map.undone():
                        answer = town.browser(role).post(
                            address,
                            body,
                            content_type="application/json",
                            HTTP_X_CSRFTOKEN=site_map.TOKEN,
                            HTTP_ORIGIN="https://testserver",
                        )
                    if answer.status_code in {500, 502, 503}:
                        wrong.append((address, role, member, str(value)[:40]))
    assert wrong == []


def test_filter_of_a_bulk_revocation_when_it_is_hostile(town):
    wrong = []
    for member in DelegationFilterSerializer().fields:
        for value in MEMBERS:
            body = {"filter": {member: value}, "reason": "x", "dry_run": True}
            answer = town.browser("superuser").post(
                "/delegations/api/revoke",
                json.dumps(body),
                content_type="application/json",
                HTTP_X_CSRFTOKEN=site_map.TOKEN,
                HTTP_ORIGIN="https://testserver",
            )
            if answer.status_code in {500, 502, 503}:
                wrong.append((member, str(value)[:40]))
    assert wrong == []
