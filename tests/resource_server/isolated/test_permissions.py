"""What a token must allow, who must act, for whom it must be."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from delegation_app.protocol.scope import Scope
from delegation_app.protocol.verified_token import VerifiedToken
from delegation_app.resource_server.permissions import RequireActor, RequireAudience, RequireScopes
from tests.resource_server.isolated.service import Answering, attributes
from tests.resource_server.issuer import AUDIENCE

BY_A = {"sub": "client:service_a", "client_id": "service_a"}
BY_B_AFTER_A = {"sub": "client:service_b", "client_id": "service_b", "act": BY_A}
METADATA = "https://service-a.example.com/.well-known/oauth-protected-resource"


# Scopes


@pytest.mark.conformance("RS-05", "BR-05", "BR-06", "MC-11")
def test_scopes_when_one_is_missing(service):
    answer = service.with_claims(RequireScopes("write:alerts", "delete:alerts"))

    assert answer.status_code == 403
    assert answer.data == {
        "error": "insufficient_scope",
        "required": ["delete:alerts", "write:alerts"],
        "provided": ["read:metrics", "write:alerts"],
    }
    assert attributes(answer) == {
        "realm": AUDIENCE,
        "error": "insufficient_scope",
        "error_description": "The scope of the token does not cover this request.",
        "scope": "delete:alerts write:alerts",
        "resource_metadata": METADATA,
    }
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "names", [["read:metrics"], ["read:metrics write:alerts"], ["read:metrics", "write:alerts"]]
)
def test_scopes_when_all_are_there(service, names):
    assert service.with_claims(RequireScopes(*names)).status_code == 200


@pytest.mark.parametrize("scope", ["", "read", "read:metric", "READ:METRICS", "read:metricsx"])
def test_scopes_when_one_only_looks_like_it(service, scope):
    assert service.with_claims(RequireScopes("read:metrics"), scope=scope).status_code == 403


BY_METHOD = RequireScopes("a", GET="r", POST="w x")


@pytest.mark.parametrize(
    ("method", "scope", "status"),
    [
        ("GET", "a r", 200),
        ("GET", "a w x", 403),
        ("GET", "r", 403),
        ("HEAD", "a r", 200),
        ("HEAD", "a", 403),
        ("POST", "a w x", 200),
        ("POST", "a w", 403),
        ("POST", "a r", 403),
        # Not named: whatever the view can do, this permission does not open it
        ("PUT", "a r w x", 403),
        ("DELETE", "a r w x", 403),
        ("OPTIONS", "a", 200),
        ("OPTIONS", "r", 403),
    ],
)
def test_scopes_when_methods_are_named_then_each_has_its_own(service, method, scope, status):
    assert service.with_claims(BY_METHOD, method=method, scope=scope).status_code == status


def test_scopes_when_methods_are_named_then_the_answer_names_those_of_this_one(service):
    answer = service.with_claims(BY_METHOD, method="POST", scope="a r")
    assert answer.data["required"] == ["a", "w", "x"]
    assert attributes(service.ask(service.view(BY_METHOD), method="POST"))["scope"] == "a w x"
    assert attributes(service.ask(service.view(BY_METHOD)))["scope"] == "a r"


def test_scopes_when_a_method_is_not_named(service):
    answer = service.with_claims(BY_METHOD, method="DELETE", scope="a r w x")
    assert answer.data["error_description"] == "No token permits this method here."
    assert "scope" not in attributes(answer)


def test_scopes_when_head_is_named(service):
    permission = RequireScopes(GET="r", HEAD=())
    assert service.with_claims(permission, method="HEAD", scope="").status_code == 200
    assert service.with_claims(permission, method="GET", scope="").status_code == 403


@pytest.mark.parametrize(
    "required", ["read:metrics write:alerts", ["read:metrics", "write:alerts"], Scope(["x"])]
)
@pytest.mark.parametrize("permission", [RequireScopes, RequireScopes()])
def test_scopes_when_the_view_names_them(service, required, permission):
    view = service.view(permission, required_scopes=required)
    expected = 403 if required == Scope(["x"]) else 200
    assert service.ask(view, service.issuer.token()).status_code == expected


def test_scopes_when_neither_names_one(service):
    view = service.view(RequireScopes())
    for token in (None, service.issuer.token()):
        with pytest.raises(ImproperlyConfigured, match="MetricsView has no required_scopes"):
            service.ask(view, token)


@pytest.mark.parametrize("arguments", [{"get": "read"}, {"FETCH": "read"}, {"GET": 'a"b'}])
def test_scopes_when_they_make_no_sense(arguments):
    with pytest.raises(ImproperlyConfigured):
        RequireScopes(**arguments)


def test_scopes_when_each_action_has_its_own(service):
    class PerMethod(Answering):
        def get_permissions(self):
            name = "r" if self.request.method == "GET" else "w"
            return [RequireScopes(name)()]

    view = service.view(base=PerMethod)

    assert service.ask(view, service.issuer.token(scope="r")).status_code == 200
    answer = service.ask(view, service.issuer.token(scope="r"), "POST")
    assert (answer.status_code, answer.data["required"]) == (403, ["w"])


def test_permission_when_a_site_asks_it_by_hand(service):
    """As a permission class of a site's own does that uses one of these inside."""
    request = Request(APIRequestFactory().get("/"))
    request.user, request.auth = None, VerifiedToken.of(service.issuer.claims())
    view = Answering()
    assert RequireScopes("read:metrics").has_permission(request, view) is True
    assert RequireScopes("other").has_permission(request, view) is False


# Actors


@pytest.mark.conformance("RS-06")
@pytest.mark.parametrize(
    ("permission", "act", "status"),
    [
        (RequireActor, BY_A, 200),
        (RequireActor(), BY_A, 200),
        (RequireActor(), None, 403),
        (RequireActor("service_a"), BY_A, 200),
        (RequireActor("service_b", "service_a"), BY_A, 200),
        (RequireActor("service_b"), BY_A, 403),
        (RequireActor("service_b"), BY_B_AFTER_A, 200),
        # Who acted before is history and decides nothing
        (RequireActor("service_a"), BY_B_AFTER_A, 403),
        (RequireActor("service_a"), {"sub": "client:service_a"}, 403),
        (RequireActor("service_a"), {"sub": "service_a", "client_id": "x"}, 403),
        (~RequireActor, None, 200),
        (~RequireActor(), None, 200),
        (~RequireActor(), BY_A, 403),
        (~RequireActor("service_a"), BY_A, 403),
        (~RequireActor("service_a"), BY_B_AFTER_A, 200),
    ],
)
def test_actor_with_and_without_one(service, permission, act, status):
    claims = {} if act is None else {"act": act}
    assert service.with_claims(permission, **claims).status_code == status


def test_actor_when_refused(service):
    answer = service.with_claims(RequireScopes("read:metrics") & RequireActor("service_a"))

    assert answer.status_code == 403
    assert answer.data == {
        "error": "insufficient_scope",
        "error_description": "Only a service that acts on behalf of a user may do this.",
    }
    assert "scope" not in attributes(answer)
    assert attributes(answer)["error"] == "insufficient_scope"


def test_actor_when_there_is_no_token(service):
    for permission in (RequireActor(), ~RequireActor(), RequireAudience("urn:x")):
        assert service.ask(service.view(permission)).status_code == 401


# Audiences


@pytest.mark.parametrize(
    ("audiences", "status"), [(["urn:b"], 403), (["urn:b", AUDIENCE], 200), (["urn:admin"], 200)]
)
def test_audience_when_the_token_is_for_one_of_them(service, audiences, status):
    token = service.issuer.token(aud=[AUDIENCE, "urn:admin"])
    answer = service.ask(service.view(RequireAudience(*audiences)), token)
    assert answer.status_code == status


def test_audience_when_none_is_named():
    with pytest.raises(ImproperlyConfigured):
        RequireAudience()


@pytest.mark.parametrize(
    ("permission", "shown"),
    [
        (RequireScopes("b", "a", GET="c"), "RequireScopes('a b', {'GET': Scope(names=('c',))})"),
        (RequireActor("a"), "RequireActor('a')"),
        (RequireAudience("urn:a"), "RequireAudience('urn:a')"),
    ],
)
def test_permission_when_shown(permission, shown):
    assert repr(permission) == shown
