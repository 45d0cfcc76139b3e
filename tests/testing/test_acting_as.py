from types import SimpleNamespace

import pytest
from django.test import AsyncClient, Client
from rest_framework.test import APIClient

from delegation_app.resource_server.principal import Principal
from delegation_app.testing.acting_as import acting_as

pytestmark = [pytest.mark.any_database, pytest.mark.urls("tests.testing.views"), pytest.mark.compat]

URLS = ["/metrics/", "/plain/"]


@pytest.fixture(autouse=True)
def _resource_server(settings):
    settings.DELEGATION_RESOURCE_SERVER = {
        "ISSUER": "https://auth.example.com",
        "AUDIENCE": "https://service-a.example.com",
    }


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("kind", [Client, APIClient])
def test_view_when_acted_for_a_user_then_it_answers_until_the_block_ends(kind, url):
    http, user = kind(), SimpleNamespace(pk=7)

    with acting_as(http, on_behalf_of=user, scope="read:metrics", client_id="web") as principal:
        answer = http.get(url)

    assert answer.status_code == 200, answer.content
    assert answer.json()["subject"] == "user:7"
    assert isinstance(principal, Principal)
    assert (principal.subject, principal.client_id) == ("user:7", "web")
    assert http.get(url).status_code == 401


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    ("authority", "status"),
    [
        ({"scope": "write:alerts"}, 403),
        ({"scope": "read:metrics", "audience": "https://service-b.example.com"}, 401),
        ({"scope": "read:metrics", "audience": "https://service-a.example.com"}, 200),
        ({"scope": ["read:metrics"], "on_behalf_of": None, "client_id": "cron"}, 200),
        (
            {
                "scope": "read:metrics",
                "constraints": [{"type": "ip_range", "networks": ["10.0.0.0/8"]}],
            },
            403,
        ),
    ],
)
def test_view_when_acted_with_less_then_it_refuses_as_in_production(url, authority, status):
    http = APIClient()

    with acting_as(http, **authority):
        assert http.get(url).status_code == status


def test_view_when_a_service_acts_then_permissions_see_the_actor():
    http = Client()

    with acting_as(http, on_behalf_of="user:7", scope="read:metrics", actors=["service_z"]):
        assert http.get("/metrics/").status_code == 403


def test_blocks_when_nested_then_the_inner_one_counts_and_clients_stay_apart():
    alice, bob, nobody = APIClient(), APIClient(), APIClient()
    alice.credentials(HTTP_AUTHORIZATION="Bearer old", HTTP_X_TRACE="1")

    with (
        acting_as(alice, on_behalf_of="user:1", scope="read:metrics"),
        acting_as(bob, on_behalf_of="user:2", scope="read:metrics"),
    ):
        assert alice.get("/metrics/").json()["subject"] == "user:1"
        assert bob.get("/metrics/").json()["subject"] == "user:2"
        with acting_as(alice, on_behalf_of="user:3", scope="read:metrics"):
            assert alice.get("/metrics/").json()["subject"] == "user:3"
        assert alice.get("/metrics/").json()["subject"] == "user:1"
        assert nobody.get("/metrics/").status_code == 401
    assert alice._credentials == {"HTTP_AUTHORIZATION": "Bearer old", "HTTP_X_TRACE": "1"}


def test_block_when_the_client_is_asynchronous_then_it_says_what_it_takes():
    with pytest.raises(TypeError, match="Client"), acting_as(AsyncClient()):
        pass
