"""A resource server in the process of the authorization server, and beside django-oauth-toolkit."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group
from oauth2_provider.contrib.rest_framework import (
    TokenHasReadWriteScope,
    TokenHasScope,
    TokenMatchesOASRequirements,
)
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from delegation_app.protocol.scope import Scope
from delegation_app.resource_server import runtime
from delegation_app.resource_server.authentication import BearerAuthentication
from delegation_app.resource_server.permissions import RequireScopes
from delegation_app.resource_server.principal import Principal
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from delegation_app.services.tokens.local_verifier import LocalVerifier
from tests.support.world import SERVICE_A, SERVICE_B, delegation_of

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

LOCAL = "delegation_app.verifiers.LocalVerifier"


class Metrics(APIView):
    authentication_classes = [BearerAuthentication.using(LocalVerifier(SERVICE_A))]
    permission_classes = [RequireScopes("read:metrics")]

    def get(self, request):
        return Response({"user": str(request.user)})

    post = get


def ask(token=None, method="GET", **members):
    sent = {} if token is None else {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    view = type("View", (Metrics,), members).as_view()
    return view(APIRequestFactory().generic(method, "/metrics", **sent)).render()


@pytest.fixture
def tokens(story):
    return story.tokens(scope="read:metrics write:alerts")


def test_view_when_the_tables_are_here(story, tokens):
    token = tokens["access_token"]
    assert ask(token).data == {"user": f"user:{story.world.alice.pk}"}
    revocation.subtree(delegation_of(tokens), audit.RequestContext(), reason="it is over")
    assert ask(token).status_code == 401


def test_verifier_when_the_settings_name_the_local_one(tokens, settings):
    settings.DELEGATION_RESOURCE_SERVER = {
        "ISSUER": settings.ISSUER,
        "AUDIENCE": SERVICE_A,
        "VERIFIER": LOCAL,
    }
    members = {"authentication_classes": [BearerAuthentication]}
    assert runtime.verifier() == LocalVerifier(SERVICE_A)
    assert ask(tokens["access_token"], **members).status_code == 200

    settings.DELEGATION_RESOURCE_SERVER = {
        **settings.DELEGATION_RESOURCE_SERVER,
        "AUDIENCE": SERVICE_B,
    }
    assert ask(tokens["access_token"], **members).status_code == 401


def test_view_when_there_are_accounts(db):
    class Open(Metrics):
        permission_classes = []

        def get(self, request):
            return Response({"anonymous": isinstance(request.user, AnonymousUser)})

    assert Open.as_view()(APIRequestFactory().get("/")).data == {"anonymous": True}
    assert ask().status_code == 401


# The toolkit's permission classes


@pytest.mark.parametrize(
    ("required", "status"),
    [
        ([], 200),
        (["read:metrics"], 200),
        (["read:metrics", "write:alerts"], 200),
        (["read:profile"], 403),
        (["read:metrics", "read:profile"], 403),
    ],
)
def test_toolkit_when_its_permission_judges_our_token(tokens, required, status):
    members = {"permission_classes": [TokenHasScope], "required_scopes": required}
    assert ask(tokens["access_token"], **members).status_code == status
    assert ask(None, **members).status_code == 401


def test_toolkit_when_it_tells_the_required_scopes(tokens, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ERROR_RESPONSE_WITH_SCOPES": True}
    members = {"permission_classes": [TokenHasScope], "required_scopes": ["read:profile"]}
    assert ask(tokens["access_token"], **members).data["required_scopes"] == ["read:profile"]


def test_toolkit_when_scopes_depend_on_the_method(tokens):
    alternatives = {"GET": [["read:profile"], ["read:metrics"]], "POST": [["delete:alerts"]]}
    members = {
        "permission_classes": [TokenMatchesOASRequirements],
        "required_alternate_scopes": alternatives,
    }
    assert ask(tokens["access_token"], **members).status_code == 200
    assert ask(tokens["access_token"], "POST", **members).status_code == 403


def test_toolkit_when_it_wants_a_scope_of_its_own(tokens):
    members = {"permission_classes": [TokenHasReadWriteScope]}
    assert ask(tokens["access_token"], **members).status_code == 403


def test_toolkit_when_joined_with_ours(tokens):
    token = tokens["access_token"]
    joined = {"required_scopes": ["read:metrics"]}
    both = [TokenHasScope & RequireScopes("write:alerts")]
    assert ask(token, permission_classes=both, **joined).status_code == 200
    lacking = [TokenHasScope & RequireScopes("read:profile")]
    answer = ask(token, permission_classes=lacking, **joined)
    assert (answer.status_code, answer.data["required"]) == (403, ["read:profile"])


# What only Django's own class has: the names behind its properties, and a refusal to be a number
INTERNAL = {"__dict__", "__weakref__", "__int__", "_groups", "_user_permissions"}


def test_principal_when_compared_with_djangos_anonymous_user():
    assert set(dir(AnonymousUser())) - set(dir(Principal)) <= INTERNAL


def test_principal_when_the_site_has_tables(story):
    principal = Principal("user:7", "web", Scope(["read:metrics"]), "0b0a6f0e")
    Group.objects.create(name="editors")
    for relation in ("groups", "user_permissions"):
        rows = getattr(principal, relation)
        assert type(rows) is type(getattr(AnonymousUser(), relation))
        assert list(rows.filter(name="editors")) == []
    assert Group.objects.filter(pk__in=principal.groups.all()).count() == 0
