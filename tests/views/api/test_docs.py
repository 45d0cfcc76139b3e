"""What docs/api.md says is what the code does."""

import json
import re
from pathlib import Path

import pytest
from django.urls import resolve

from delegation_app.services import limits
from delegation_app.views.api import operator_serializers, person_serializers
from delegation_app.views.api.parsing import MAX_DEPTH

pytestmark = pytest.mark.any_database

PAGE = (Path(__file__).parents[3] / "docs/api.md").read_text()


def test_examples_when_copied():
    calls = re.findall(r'(session|deed) "\$SITE([^"]+)"(?: \\\n)?(?:\s+-d \'([^\']+)\')?', PAGE)
    assert len(calls) >= 16
    for kind, address, body in calls:
        path, _, query = address.replace("$ID", "x").partition("?")
        operations = resolve(path).func.cls.operations
        operation = operations["POST" if kind == "deed" else "GET"]
        assert bool(body) == (kind == "deed")
        if body:
            shape = operation.body(data=json.loads(body), context={"is_text": False})
            assert shape.is_valid(), shape.errors
            assert json.loads(body).keys() <= shape.fields.keys()
        if query:
            sent = dict(pair.split("=") for pair in query.split("&"))
            shape = operation.query(data=sent, context={"is_text": True})
            assert shape.is_valid(), shape.errors
            assert sent.keys() <= shape.fields.keys()


def test_filters_when_listed():
    (listed,) = re.findall(r"Filters: ([^.]+)\.", PAGE)
    fields = operator_serializers.DelegationFilterSerializer().fields
    assert re.findall(r"`(\w+)`", listed) == list(fields)
    assert set(person_serializers.ConnectionQuerySerializer().fields) - {"cursor"} <= set(
        re.findall(r"\w+", PAGE)
    )


def test_numbers_when_named():
    assert f"{limits.MAX_REVOKED} at most" in PAGE
    assert f"stop at {limits.MAX_COUNT:,}" in PAGE
    assert f"{MAX_DEPTH} levels" in PAGE
