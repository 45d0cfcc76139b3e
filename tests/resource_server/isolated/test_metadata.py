"""Where a client learns which authorization server a resource trusts (RFC 9728)."""

import pytest
from django.http import Http404
from django.test import Client, RequestFactory

from delegation_app.resource_server.challenge import metadata_url
from delegation_app.resource_server.metadata import ProtectedResourceMetadata
from delegation_app.resource_server.permissions import RequireScopes
from tests.resource_server.isolated.service import attributes
from tests.resource_server.issuer import AUDIENCE, ISSUER

PLACE = "/.well-known/oauth-protected-resource"


@pytest.fixture
def client():
    return Client()


@pytest.mark.conformance("PR-01", "PR-02", "PR-03", "PR-06")
def test_metadata_when_asked_for_then_it_says_who_issues_tokens(client):
    answer = client.get(PLACE)

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {
        "resource": AUDIENCE,
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["read:metrics", "write:alerts"],
    }


@pytest.mark.conformance("PR-02")
def test_metadata_when_there_is_nothing_to_say_of_something(client, configure):
    configure(SCOPES=[])
    assert "scopes_supported" not in client.get(PLACE).json()
    configure(RESOURCE_NAME="Metrics")
    assert client.get(PLACE).json()["resource_name"] == "Metrics"


@pytest.mark.conformance("PR-07")
def test_metadata_when_offline_access_is_among_the_scopes(client, configure):
    configure(SCOPES=["offline_access", "read:metrics"])
    assert client.get(PLACE).json()["scopes_supported"] == ["read:metrics"]


def test_metadata_when_asked_for_then_anybody_may_read_and_store_it(client):
    answer = client.get(PLACE)
    assert answer["Cache-Control"] == "public, max-age=300"
    assert answer["Access-Control-Allow-Origin"] == "*"

    head = client.head(PLACE)
    assert (head.status_code, head.content) == (200, b"")
    assert head["Content-Type"] == "application/json"

    preflight = client.options(PLACE, headers={"Access-Control-Request-Method": "GET"})
    assert preflight.status_code == 200
    assert preflight["Access-Control-Allow-Origin"] == "*"
    assert client.post(PLACE).status_code == 405


@pytest.mark.conformance("PR-01", "PR-02")
@pytest.mark.parametrize(
    ("identifier", "place"),
    [
        ("https://h.example", PLACE),
        ("https://h.example/", PLACE),
        ("https://h.example/api/x", f"{PLACE}/api/x"),
        ("https://h.example/api/", f"{PLACE}/api/"),
        ("https://h.example/a%20b", f"{PLACE}/a%20b"),
        ("https://h.example:8443/api?x=1", f"{PLACE}/api?x=1"),
    ],
)
def test_metadata_when_the_audience_has_a_path(client, configure, identifier, place):
    configure(AUDIENCE=identifier)
    everywhere = {PLACE, f"{PLACE}/api", f"{PLACE}/api/x", f"{PLACE}/api/x/y", f"{PLACE}/API/x"}
    assert client.get(place).json()["resource"] == identifier
    assert metadata_url(identifier).endswith(place)
    for elsewhere in everywhere - {place}:
        assert client.get(elsewhere).status_code == 404


@pytest.mark.conformance("PR-04")
@pytest.mark.parametrize("identifier", ["urn:service-a", "service-a", "ftp://h.example"])
def test_metadata_when_the_audience_is_no_url(client, configure, service, identifier):
    configure(AUDIENCE=identifier)
    assert metadata_url(identifier) == ""
    assert client.get(PLACE).status_code == 404


@pytest.mark.conformance("PR-01", "PR-05")
def test_metadata_when_a_challenge_names_it(client, service):
    url = attributes(service.ask(service.view(RequireScopes("read:metrics"))))["resource_metadata"]
    assert url == metadata_url(AUDIENCE)
    assert client.get(url.removeprefix(AUDIENCE)).json()["resource"] == AUDIENCE


def test_metadata_when_the_host_is_forged(client):
    forged = {"HTTP_HOST": "evil.example", "HTTP_X_FORWARDED_HOST": "evil.example"}
    assert client.get(PLACE, **forged).json() == client.get(PLACE).json()


def test_metadata_when_a_process_has_a_second_service(configure):
    configure(RESOURCE_NAME="The first", SCOPES=["first"])
    second = ProtectedResourceMetadata.as_view(
        audience="https://b.example/b", scopes=("second",), resource_name="B"
    )

    assert second(RequestFactory().get("/"), suffix="b").content == (
        b'{"resource": "https://b.example/b", "authorization_servers": ["https://as.example.com"], '
        b'"bearer_methods_supported": ["header"], "scopes_supported": ["second"], '
        b'"resource_name": "B"}'
    )
    with pytest.raises(Http404):
        second(RequestFactory().get("/"))
