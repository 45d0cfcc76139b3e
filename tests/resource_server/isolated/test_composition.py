"""`&`, `|` and `~`, with ours and with the framework's: who gets in, and what a refusal says."""

from itertools import product

import pytest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import (
    SAFE_METHODS,
    AllowAny,
    BasePermission,
    IsAdminUser,
    IsAuthenticated,
)

from delegation_app.resource_server.permissions import RequireActor, RequireScopes
from tests.resource_server.isolated.service import attributes

A, B, C = RequireScopes("a"), RequireScopes("b"), RequireScopes("c")
ACTOR = {"sub": "client:service_a", "client_id": "service_a"}


class ReadOnly(BasePermission):
    def has_permission(self, request, view):
        return request.method in SAFE_METHODS


class Denied(BasePermission):
    message = "Not today."

    def has_permission(self, request, view):
        return False


class Unasked(BasePermission):
    def has_permission(self, request, view):
        raise AssertionError("it was asked although the refusal was certain")


TREES = {
    "a": (lambda a, b, c: a, [A]),
    "list": (lambda a, b, c: a and b, [A, B]),
    "and": (lambda a, b, c: a and b, [A & B]),
    "or": (lambda a, b, c: a or b, [A | B]),
    "not": (lambda a, b, c: not a, [~A]),
    "not and": (lambda a, b, c: not (a and b), [~(A & B)]),
    "not or": (lambda a, b, c: not (a or b), [~(A | B)]),
    "and not": (lambda a, b, c: a and not b, [A & ~B]),
    "or not": (lambda a, b, c: a or not b, [A | ~B]),
    "nested": (lambda a, b, c: (a or b) and c, [(A | B) & C]),
    "nested or": (lambda a, b, c: (a and b) or c, [A & B | C]),
    "twice not": (lambda a, b, c: a, [~~A]),
    "theirs first": (lambda a, b, c: a, [IsAuthenticated & A]),
    "theirs first or": (lambda a, b, c: a, [IsAdminUser | A]),
    "theirs or ours": (lambda a, b, c: a or b, [(IsAuthenticated & A) | (AllowAny & B)]),
    "theirs last": (lambda a, b, c: False, [(A | B) & Denied]),
    "theirs last or": (lambda a, b, c: True, [A | AllowAny]),
    "not theirs": (lambda a, b, c: a, [~IsAdminUser & A]),
    "theirs in the middle": (lambda a, b, c: b, [(A & Denied) | B]),
    "a holder of theirs": (lambda a, b, c: a or b, [((AllowAny & IsAuthenticated) & A) | B]),
}


@pytest.mark.parametrize("held", list(product([False, True], repeat=3)))
@pytest.mark.parametrize("name", TREES)
def test_expression_when_a_token_has_these(service, name, held):
    expected, permissions = TREES[name]
    scope = " ".join(scope for scope, has in zip("abc", held, strict=True) if has)
    answer = service.with_claims(*permissions, scope=scope)
    assert answer.status_code == (200 if expected(*held) else 403)


@pytest.mark.conformance("BR-04")
@pytest.mark.parametrize("name", TREES)
def test_expression_when_there_is_no_token(service, name):
    _, permissions = TREES[name]
    answer = service.ask(service.view(*permissions))
    assert answer.status_code == (200 if name == "theirs last or" else 401)


@pytest.mark.parametrize(
    ("permission", "method", "status"),
    [
        (ReadOnly | A, "GET", 200), (A | ReadOnly, "GET", 200), (~A | ReadOnly, "GET", 200),
        (ReadOnly | A, "POST", 401), (A | ReadOnly, "POST", 401), (~A | ReadOnly, "POST", 401),
        (~(A | ReadOnly), "GET", 401), (~(ReadOnly & A), "GET", 401),
        (ReadOnly & ~A, "GET", 401),
    ],
)  # fmt: skip
def test_expression_when_anybody_may_read(service, permission, method, status):
    assert service.ask(service.view(permission), method=method).status_code == status


def test_expression_when_another_scheme_knows_who_asks(service):
    class Known(BaseAuthentication):
        def authenticate(self, request):
            return "somebody", None

    schemes = [service.bearer, Known]

    for permission in (A, ~A, ~(A & B), AllowAny & A):
        view = service.view(permission, authentication_classes=schemes)
        assert service.ask(view).status_code == 403


@pytest.mark.conformance("RS-05")
@pytest.mark.parametrize(
    ("permissions", "provided", "required"),
    [
        # All that it takes, so that one more authorization is enough
        ([A & B], "", "a b"),
        ([A & B], "a", "a b"),
        ([A, B], "", "a b"),
        ([A & B & C], "b", "a b c"),
        # Of alternatives, the nearest
        ([A | B], "", "a"),
        ([(A & B) | C], "", "c"),
        ([(A & B) | (B & C)], "c", "b c"),
        ([(A | B) & C], "b", "b c"),
        ([(A | B) & C], "", "a c"),
        # What a scope can't help against is not named while there is one that can
        ([A | RequireActor()], "", "a"),
        ([RequireActor() | A], "", "a"),
        ([RequireActor("x") & B | A], "", "a"),
        ([A & ~B], "", "a"),
        # With the framework's own, on either side
        ([IsAuthenticated & A], "", "a"),
        ([A & IsAuthenticated], "", "a"),
        ([A | IsAdminUser], "", "a"),
        ([IsAdminUser | A], "", "a"),
        ([(IsAuthenticated & A) | IsAdminUser], "", "a"),
        ([(IsAuthenticated & IsAdminUser) | (A & B)], "b", "a b"),
        ([IsAuthenticated, ReadOnly | B, A], "", "a"),
    ],
)
def test_refusal_when_parts_are_joined(service, permissions, provided, required):
    answer = service.with_claims(*permissions, scope=provided)

    assert answer.status_code == 403
    assert answer.data == {
        "error": "insufficient_scope",
        "required": required.split(),
        "provided": provided.split(),
    }
    assert attributes(answer)["scope"] == required


@pytest.mark.conformance("PR-05")
@pytest.mark.parametrize(
    ("permissions", "scope"),
    [
        ([A & B], "a b"), ([A, B], "a b"), ([A | B], "a"), ([RequireActor() & A], "a"),
        ([A & ~RequireActor()], "a"), ([A & ~B], "a"), ([IsAuthenticated & A], "a"),
        ([IsAdminUser | A], "a"), ([A | IsAdminUser], "a"),
    ],
)  # fmt: skip
def test_challenge_when_there_is_no_token(service, permissions, scope):
    assert attributes(service.ask(service.view(*permissions)))["scope"] == scope


@pytest.mark.parametrize(
    ("permissions", "claims", "said"),
    [
        ([~A], {"scope": "a"}, "A token with this scope may not do that."),
        ([~(A & B)], {"scope": "a b"}, "This token may not do that."),
        ([A & ~RequireActor()], {"scope": "a", "act": ACTOR}, "This may not be done on behalf of"),
        ([RequireActor("x") | ~A], {"scope": "a", "act": ACTOR}, "This actor may not do that."),
    ],
)
def test_refusal_when_no_scope_would_help(service, permissions, claims, said):
    answer = service.with_claims(*permissions, **claims)
    assert answer.status_code == 403
    assert answer.data["error"] == attributes(answer)["error"] == "insufficient_scope"
    assert answer.data["error_description"].startswith(said)
    assert "scope" not in attributes(answer)


@pytest.mark.parametrize("permissions", [[A, Denied], [Denied, A], [A & Denied], [Denied & A]])
def test_refusal_when_a_permission_of_the_site_refuses(service, permissions):
    answer = service.with_claims(*permissions, scope="a")
    assert answer.status_code == 403
    assert "detail" in answer.data


def test_expression_when_a_part_refuses(service):
    assert service.with_claims(A & Unasked, scope="").data["required"] == ["a"]
    assert service.ask(service.view(A & Unasked)).status_code == 401


def test_expression_when_ours_stand_in_a_permission_of_the_site(service):
    class Inside(BasePermission):
        def has_permission(self, request, view):
            return (A & B)().has_permission(request, view)

    assert service.with_claims(C & Inside, scope="a b c").status_code == 200
    assert service.with_claims(C & Inside, scope="a c").status_code == 403
    assert service.with_claims(Inside, scope="a b").status_code == 200
    assert service.with_claims(Inside | C, scope="c").status_code == 200


@pytest.mark.parametrize("permissions", [[A], [A | B], [A & ~B], [~B], [IsAuthenticated & ~B]])
def test_object_when_the_view_lets_in(service, permissions):
    class Detail(service.view(*permissions).cls):
        def get(self, request):
            self.check_object_permissions(request, object())
            return super().get(request)

    assert service.ask(Detail.as_view(), service.issuer.token(scope="a")).status_code == 200
