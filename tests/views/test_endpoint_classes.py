"""The endpoints as views of Django REST framework: what a site may set, and what it may not."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from django.urls import include, path
from rest_framework import exceptions, permissions
from rest_framework.views import APIView

from delegation_app.checks import mounting
from delegation_app.models import Delegation
from delegation_app.urls import urlpatterns
from delegation_app.views import oauth
from delegation_app.views.client_authentication import ClientAuthentication, ClientPrincipal
from delegation_app.views.throttles import AddressThrottle, ClientThrottle
from tests.admin.conftest import browser
from tests.support.answers import each, nothing_stored, recorded, refusal_recorded, refused
from tests.support.api import MINE, THEIRS
from tests.support.world import FORM

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

ROOT = "example_project.urls"
WELL_KNOWN = "/.well-known/oauth-authorization-server"
CLASSES = {
    "authentication_classes",
    "permission_classes",
    "throttle_classes",
    "parser_classes",
    "renderer_classes",
    "content_negotiation_class",
    "versioning_class",
    "metadata_class",
    "schema",
}


def hostile(*_args, **_kwargs):
    raise AssertionError("a class of the site was used")


@pytest.fixture
def hostile_site(monkeypatch, settings):
    """A site whose settings for its own REST views break every request."""
    settings.REST_FRAMEWORK = {
        "EXCEPTION_HANDLER": "tests.flows.test_endpoint_classes.hostile",
        "UNAUTHENTICATED_USER": "tests.flows.test_endpoint_classes.hostile",
        "UNAUTHENTICATED_TOKEN": "tests.flows.test_endpoint_classes.hostile",
        "FORMAT_SUFFIX_KWARG": "name",
        "COMPACT_JSON": False,
        "UNICODE_JSON": False,
    }
    # What the DEFAULT_ settings become when the framework is imported
    for name in CLASSES - {"schema"}:
        value = hostile if name.endswith("_class") else (hostile,)
        monkeypatch.setattr(APIView, name, value)


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda pattern: pattern.name)
def test_endpoint_when_it_is_of_the_framework_then_it_names_all_of_its_classes(pattern):
    view = getattr(pattern.callback, "cls", None)
    if view is not None:
        own = {name for cls in view.__mro__[: view.__mro__.index(APIView)] for name in vars(cls)}
        assert own >= CLASSES
        assert issubclass(view, APIView)
    else:
        assert pattern.name.startswith("connection")


def test_endpoints_when_the_settings_of_the_site_are_hostile_then_nothing_changes(
    story, world, request
):
    operator = browser("operator")
    listed = story.wire.get("/oauth/status").json()["status_lists"][0]

    def answers():
        issued = story.client_credentials(world.service_a_client)
        token = {"token": issued.json()["access_token"]}
        return {
            "token": issued,
            "refused": story.post("/oauth/token", {"grant_type": "x"}, world.service_a_client),
            "nobody": story.wire.post("/oauth/token", "", content_type=FORM),
            "JSON": story.wire.post("/oauth/token", "{}", content_type="application/json"),
            "exchange": story.post("/oauth/exchange", {}, world.service_a_client),
            "introspect": story.post("/oauth/introspect", token, world.service_a_client),
            "revoke": story.post("/oauth/revoke", token, world.service_a_client),
            "device": story.start(),
            "OPTIONS": story.wire.options("/oauth/token"),
            "PUT": story.wire.put("/oauth/token"),
            "authorize": story.authorize(),
            "mine": story.browser.get(MINE),
            "theirs": operator.get(THEIRS),
            **{
                address: story.wire.get(address)
                for address in (
                    *("/oauth/jwks", "/oauth/status", "/oauth/logo/x", "/oauth/device"),
                    *(WELL_KNOWN, f"{WELL_KNOWN}/other", listed, f"{listed}9", MINE, THEIRS),
                )
            },
        }

    before = answers()
    request.getfixturevalue("hostile_site")
    for name, answer in answers().items():
        with each(name):
            assert answer.status_code == before[name].status_code
            assert answer.get("Content-Type") == before[name].get("Content-Type")
            if answer.get("Content-Type") == "application/json":
                assert answer.json().keys() == before[name].json().keys()


@pytest.fixture
def mount(settings):
    """Mount a view of a site's own in the place of ours, as the docs say."""

    def mounted(route, view):
        settings.ROOT_URLCONF = (path(route, view), path("", include(ROOT)))

    return mounted


def test_token_when_a_site_throttles_clients_then_429_leaves_nothing_behind(story, world, mount):
    class Twice(ClientThrottle):
        requests_per_minute = 2

    mount("oauth/token", oauth.TokenView.as_view(throttle_classes=[Twice]))
    for _ in range(2):
        assert story.client_credentials().status_code == 200
    with nothing_stored(), recorded():
        response = story.client_credentials()
    refused(response, "temporarily_unavailable", 429)
    assert 0 < int(response["Retry-After"]) <= 60
    assert response["X-Request-Id"]
    # Each client has its own
    assert story.client_credentials(world.service_a_client).status_code == 200


def test_token_when_a_replay_is_throttled_then_it_ends_the_delegation_all_the_same(story, mount):
    class Never(ClientThrottle):
        requests_per_minute = 0

    code = story.code()
    assert story.redeem(code).status_code == 200
    mount("oauth/token", oauth.TokenView.as_view(throttle_classes=[Never]))
    story.redeem(code, code_verifier="x" * 43)
    assert Delegation.objects.get().revoked_at is None
    refused(story.redeem(code), "invalid_grant")
    assert Delegation.objects.get().revoked_at is not None


def test_document_when_a_site_throttles_addresses_then_others_are_answered(client, db, mount):
    class Once(AddressThrottle):
        requests_per_minute = 1

    mount("oauth/jwks", oauth.JwksView.as_view(throttle_classes=[Once]))
    addresses = ("192.0.2.1", "192.0.2.1", "192.0.2.2")
    found = [client.get("/oauth/jwks", REMOTE_ADDR=address).status_code for address in addresses]
    assert found == [200, 429, 200]


class Nobody(permissions.BasePermission):
    message = "Come back tomorrow."

    def has_permission(self, request, view):
        return False


class Never(AddressThrottle):
    requests_per_minute = 0


@pytest.mark.parametrize(
    ("classes", "status"),
    [({"throttle_classes": [Never]}, 429), ({"permission_classes": [Nobody]}, 403)],
    ids=["throttle", "permission"],
)
def test_page_when_a_site_refuses_then_the_refusal_is_a_page(story, mount, classes, status):
    mount("oauth/authorize", oauth.AuthorizeView.as_view(**classes))
    response = story.authorize()
    assert response.status_code == status
    assert response["Content-Type"].startswith("text/html")
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]


def test_token_when_a_permission_of_the_site_denies_then_it_is_refused_and_recorded(story, mount):
    principals = []

    class Refuses(Nobody):
        def has_permission(self, request, view):
            principals.append(request.user)
            return False

    mount("oauth/token", oauth.TokenView.as_view(permission_classes=[Refuses]))
    with refusal_recorded("unauthorized_client", actor="client:cron"):
        response = story.client_credentials()
    refused(response, "unauthorized_client")
    assert response.json()["error_description"] == "Come back tomorrow."
    (principal,) = principals
    assert str(principal) == principal.pk == principal.client.subject
    assert principal.is_authenticated
    assert not principal.is_anonymous
    assert not principal.has_perm("delegation_app.view_delegation")
    assert principal == ClientPrincipal(principal.client)
    assert hash(principal) == hash(ClientPrincipal(principal.client))


def test_token_when_a_permission_of_the_site_raises_then_it_is_refused_alike(story, mount):
    class Raises(Nobody):
        def has_permission(self, request, view):
            raise exceptions.PermissionDenied

    mount("oauth/token", oauth.TokenView.as_view(permission_classes=[Raises]))
    with refusal_recorded("unauthorized_client"):
        refused(story.client_credentials(), "unauthorized_client")


def test_token_when_an_authentication_of_the_site_fails_then_it_is_a_401_as_ours(story, mount):
    class Strict(ClientAuthentication):
        def authenticate(self, request):
            raise exceptions.AuthenticationFailed

    mount("oauth/token", oauth.TokenView.as_view(authentication_classes=[Strict]))
    response = story.client_credentials()
    refused(response, "invalid_client", 401)
    assert response["WWW-Authenticate"] == 'Basic realm="delegation", charset="UTF-8"'


def test_metadata_when_a_site_subclasses_it_then_its_members_are_added(client, db, mount):
    class Metadata(oauth.MetadataView):
        def members(self):
            return {**super().members(), "service_documentation": "https://docs.example.com"}

    mount(WELL_KNOWN[1:], Metadata.as_view())
    response = client.get(WELL_KNOWN)
    assert response.json()["service_documentation"] == "https://docs.example.com"
    assert client.get(WELL_KNOWN, HTTP_IF_NONE_MATCH=response["ETag"]).status_code == 304
    assert mounting.check_well_known() == []


def test_example_of_the_docs_does_what_it_says(story, client, settings, monkeypatch):
    page = (Path(__file__).parents[2] / "docs/reference/endpoints.md").read_text()
    module = ModuleType("site_of_the_docs")
    exec(page.split("```python\n")[1].split("```")[0], module.__dict__)  # noqa: S102 - our own docs
    monkeypatch.setitem(sys.modules, module.__name__, module)
    settings.ROOT_URLCONF = module.__name__

    denied = story.client_credentials()
    metadata = client.get("/.well-known/oauth-authorization-server").json()

    refused(denied, "unauthorized_client")
    assert denied.json()["error_description"] == "No tokens are issued during maintenance."
    assert metadata["service_documentation"] == "https://docs.example.com/oauth"
