"""The schema of all endpoints: valid, complete, and what is really answered."""

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
from tests.support.world import FORM

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

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


OAUTH = {
    "authorize",
    "authorizeDevice",
    "connectDevice",
    "exchange",
    "getLogo",
    "getServerMetadata",
    "getStatusList",
    "introspectToken",
    "listKeys",
    "listStatusLists",
    "revokeToken",
    "token",
}


@pytest.fixture
def whole(tmp_path):
    """The schema that a site makes, with all endpoints."""
    target = tmp_path / "schema.json"
    call_command(
        Command(),
        urlconf="delegation_app.urls",
        format="openapi-json",
        file=str(target),
        validate=True,
        fail_on_warn=True,
    )
    return json.loads(target.read_text())


def operations(schema):
    return {
        operation["operationId"]: operation
        for path in schema["paths"].values()
        for operation in path.values()
    }


def test_command_when_the_schema_is_made_then_it_is_valid_and_nobody_is_warned(whole):
    assert operations(whole).keys() == OPERATIONS[MINE] | OPERATIONS[THEIRS] | OAUTH


def test_schema_when_it_describes_a_client_endpoint_then_form_errors_and_methods_are_there(whole):
    secrets = [{"client_secret_basic": []}, {"client_secret_post": []}]
    for name, fields in (
        ("token", {"grant_type", "code", "refresh_token", "device_code", "subject_token", "scope"}),
        ("exchange", {"grant_type", "subject_token", "actor_token", "audience", "resource"}),
        ("revokeToken", {"token", "token_type_hint"}),
        ("introspectToken", {"token", "token_type_hint"}),
        ("authorizeDevice", {"scope", "resource", "constraints"}),
    ):
        with each(name):
            operation = operations(whole)[name]
            form = operation["requestBody"]["content"][FORM]["schema"]["$ref"].rpartition("/")[2]
            properties = whole["components"]["schemas"][form]["properties"]
            assert properties.keys() >= fields | {"client_id", "client_secret"}
            assert operation["responses"].keys() == {"200", "400", "401", "429", "500", "503"}
            public = [] if name == "introspectToken" else [{}]
            assert operation["security"] == secrets + public
    schemes = whole["components"]["securitySchemes"]
    assert schemes["client_secret_basic"] == {"type": "http", "scheme": "basic"}
    assert "form fields" in schemes["client_secret_post"]["description"]
    query = {parameter["name"] for parameter in operations(whole)["authorize"]["parameters"]}
    assert query >= {"client_id", "response_type", "code_challenge", "state"}


def test_oauth_answers_when_given_then_they_are_what_the_schema_says(story, whole):
    tokens = story.tokens()
    for name, answer in (
        ("token", story.refresh(tokens["refresh_token"])),
        ("token", story.client_credentials()),
        ("token", story.client_credentials(scope="unknown")),
        ("token", story.token(grant_type="unknown")),
        ("exchange", story.post("/oauth/exchange", {}, story.world.service_a_client)),
        ("introspectToken", story.introspect(tokens["access_token"])),
        ("introspectToken", story.introspect("unknown")),
        ("authorizeDevice", story.start()),
        ("getServerMetadata", story.wire.get("/.well-known/oauth-authorization-server")),
        ("listKeys", story.wire.get("/oauth/jwks")),
        ("listStatusLists", story.wire.get("/oauth/status")),
        ("getStatusList", story.wire.get("/oauth/status/x")),
    ):
        with each((name, answer.status_code)):
            matches(whole, name, answer, required=False)


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


def matches(schema, name, answer, *, required=True):
    """Check an answer against the schema: what it names is there, and nothing else."""
    told = operations(schema)[name]["responses"][str(answer.status_code)]["content"][JSON]["schema"]
    # OpenAPI 3.0 is not quite JSON Schema
    whole = strictly({**told, "components": schema["components"]}, required=required)
    jsonschema.Draft202012Validator(
        whole, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(answer.json())


def strictly(node, *, required):
    """The same in JSON Schema: null is a type, and objects have no other members."""
    if isinstance(node, list):
        return [strictly(inner, required=required) for inner in node]
    if not isinstance(node, dict):
        return node
    rest = {
        name: strictly(inner, required=required)
        for name, inner in node.items()
        if name != "nullable"
    }
    if rest.get("type") == "object" and "properties" in rest:
        rest["additionalProperties"] = False
        if required:
            rest["required"] = sorted(rest["properties"])
    return {"anyOf": [{"type": "null"}, rest]} if node.get("nullable") is True else rest


def test_urls_when_the_extra_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "drf_spectacular", None)
    found = runpy.run_path(urls.__file__)["urlpatterns"]
    names = {pattern.name for pattern in found}
    assert {"api-connections", "api-delegations"} <= names
    assert not any("schema" in name for name in names)
