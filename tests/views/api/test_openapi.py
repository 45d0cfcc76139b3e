"""The schema of the JSON interfaces: valid, complete, and what is really answered."""

import json
import runpy
import sys
from datetime import timedelta

import jsonschema
import pytest
from django.core.management import call_command
from django.utils import timezone
from drf_spectacular.management.commands.spectacular import Command

from delegation_app import urls
from tests.admin.conftest import browser
from tests.support.answers import each
from tests.support.api import ALL_OF_MINE, JSON, MANY, MINE, THEIRS, got, mine, refused, theirs
from tests.support.chains import Chain

SCHEMAS = (f"{MINE}schema", f"{THEIRS}schema")
OPERATIONS = {
    MINE: {
        "listConnections", "getConnection", "narrowConnection", "previewEndOfConnection",
        "endConnection", "previewEndOfAll", "endAll",
    },
    THEIRS: {
        "listDelegations", "getDelegation", "narrowDelegation", "previewRevocation",
        "revokeDelegation", "revokeDelegations",
    },
}  # fmt: skip


def test_command_when_the_schema_is_made(tmp_path):
    target = tmp_path / "schema.json"
    call_command(
        Command(),
        urlconf="delegation_app.urls",
        format="openapi-json",
        file=str(target),
        validate=True,
        fail_on_warn=True,
    )
    schema = json.loads(target.read_text())
    found = {
        operation["operationId"] for path in schema["paths"].values() for operation in path.values()
    }
    assert found == OPERATIONS[MINE] | OPERATIONS[THEIRS]


def test_schema_when_asked_for(story, client):
    for address in SCHEMAS:
        refused(client.get(address), "not_signed_in", 401)
    assert got(story.browser, SCHEMAS[0])["info"]["title"]
    refused(story.browser.get(SCHEMAS[1]), "access_denied", 403)
    assert got(browser("auditor"), SCHEMAS[1])["openapi"].startswith("3.")
    refused(story.browser.get(f"{SCHEMAS[0]}?lang=en"), "invalid_request")


@pytest.fixture
def schemas(story):
    return {MINE: got(story.browser, SCHEMAS[0]), THEIRS: got(browser("superuser"), SCHEMAS[1])}


def test_schema_when_it_describes_a_deed(schemas):
    for start, schema in schemas.items():
        described = set()
        for path, methods in schema["paths"].items():
            assert path.startswith(start)
            for method, operation in methods.items():
                described.add(operation["operationId"])
                (needed,) = operation["security"]
                assert ("delegationCsrf" in needed) == (method == "post")
        assert described == OPERATIONS[start]
    definition = schemas[MINE]["components"]["securitySchemes"]["delegationCsrf"]
    assert definition == {"type": "apiKey", "in": "header", "name": "X-CSRFTOKEN"}


def test_answers_when_given(story, schemas):
    chain, operator = Chain(story), browser("operator")
    root, child, leaf = chain.rows
    ends = (timezone.now() + timedelta(days=3)).isoformat()
    confirm = got(story.browser, ALL_OF_MINE)["confirm"]
    less = {"scopes": ["read:metrics"], "expires_at": ends}
    limits = {"constraints": [{"type": "max_uses", "uses": 9}], "reason": "x"}
    for name, client, address, members in (
        ("listConnections", story.browser, MINE, None),
        ("listConnections", story.browser, f"{MINE}?cursor=x", None),
        ("getConnection", story.browser, mine(child), None),
        ("narrowConnection", story.browser, mine(root, "narrow"), less),
        ("narrowConnection", story.browser, mine(root, "narrow"), less),
        ("previewEndOfConnection", story.browser, mine(root, "end"), None),
        ("listDelegations", operator, f"{THEIRS}?limit=2", None),
        ("getDelegation", operator, theirs(leaf), None),
        ("getDelegation", operator, f"{THEIRS}x", None),
        ("narrowDelegation", operator, theirs(child, "narrow"), limits),
        ("previewRevocation", operator, theirs(leaf, "revoke"), None),
        ("revokeDelegation", operator, theirs(leaf, "revoke"), {"reason": "x"}),
        ("revokeDelegation", story.browser, theirs(leaf, "revoke"), {"reason": "x"}),
        ("getConnection", story.browser, mine(leaf), None),
        ("revokeDelegations", operator, MANY, {"filter": {"user": "alice"}}),
        ("revokeDelegations", operator, MANY, {"filter": {}}),
        ("endConnection", story.browser, mine(child, "end"), {}),
        ("previewEndOfAll", story.browser, ALL_OF_MINE, None),
        ("endAll", story.browser, ALL_OF_MINE, {"confirm": "x"}),
        ("endAll", story.browser, ALL_OF_MINE, {"confirm": confirm}),
        ("getConnection", story.browser, mine(root), None),
    ):
        with each((name, address)):
            schema = schemas[THEIRS if address.startswith(THEIRS) else MINE]
            matches(schema, name, _asked(client, address, members))


def _asked(client, address, members):
    if members is None:
        return client.get(address)
    return client.post(address, json.dumps(members), JSON)


def matches(schema, name, answer):
    """Check an answer against the schema: what it names is there, and nothing else."""
    (operation,) = (
        operation
        for path in schema["paths"].values()
        for operation in path.values()
        if operation["operationId"] == name
    )
    told = operation["responses"][str(answer.status_code)]["content"][JSON]["schema"]
    # OpenAPI 3.0 is not quite JSON Schema
    whole = strictly({**told, "components": schema["components"]})
    jsonschema.Draft202012Validator(
        whole, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(answer.json())


def strictly(node):
    """The same in JSON Schema: null is a type, and objects have no other members."""
    if isinstance(node, list):
        return [strictly(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    rest = {name: strictly(inner) for name, inner in node.items() if name != "nullable"}
    if rest.get("type") == "object" and "properties" in rest:
        rest["additionalProperties"] = False
        rest["required"] = sorted(rest["properties"])
    return {"anyOf": [{"type": "null"}, rest]} if node.get("nullable") is True else rest


def test_urls_when_the_extra_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "drf_spectacular", None)
    found = runpy.run_path(urls.__file__)["urlpatterns"]
    names = {pattern.name for pattern in found}
    assert {"api-connections", "api-delegations"} <= names
    assert not any("schema" in name for name in names)
