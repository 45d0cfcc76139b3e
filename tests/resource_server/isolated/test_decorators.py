"""Tokens for views that are functions."""

import logging

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.test import RequestFactory

from delegation_app.resource_server.decorators import require_token
from tests.resource_server.isolated.service import attributes
from tests.resource_server.issuer import AUDIENCE, JWKS, LIST


@pytest.fixture
def ask(bearer):
    @require_token("read:metrics", authentication=bearer)
    def metrics(request, number=0):
        return JsonResponse(
            {"user": str(request.user), "scope": str(request.auth.scope), "number": number}
        )

    def ask(token=None, **more):
        sent = {} if token is None else {"HTTP_AUTHORIZATION": f"Bearer {token}"}
        return metrics(RequestFactory().get("/metrics", **sent), **more)

    ask.view = metrics
    return ask


def test_view_when_the_token_is_good(ask, issuer):
    answer = ask(issuer.token(scope="read:metrics"), number=7)
    assert answer.content == b'{"user": "user:7", "scope": "read:metrics", "number": 7}'
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.conformance("BR-04", "PR-05")
def test_view_when_there_is_no_token(ask):
    answer = ask()
    assert answer.status_code == 401
    assert attributes(answer) == {
        "realm": AUDIENCE,
        "scope": "read:metrics",
        "resource_metadata": f"{AUDIENCE}/.well-known/oauth-protected-resource",
    }


@pytest.mark.conformance("BR-05", "RS-05")
@pytest.mark.parametrize(
    ("token", "status", "error"),
    [
        ("a b", 400, "invalid_request"),
        ("garbage", 401, "invalid_token"),
        (None, 403, "insufficient_scope"),
    ],
)
def test_view_when_it_refuses(ask, issuer, token, status, error):
    answer = ask(token or issuer.token(scope="write:alerts"))
    assert answer.status_code == status
    assert attributes(answer)["error"] == error
    assert f'"error": "{error}"'.encode() in answer.content
    assert answer["Cache-Control"] == "no-store"


def test_view_when_it_answers(ask, issuer, caplog):
    with caplog.at_level(logging.INFO):
        refused = ask("garbage")
    assert f"refused {refused['X-Request-Id']}: " in caplog.text
    names = {answer["X-Request-Id"] for answer in (refused, ask(), ask(issuer.token()))}
    assert len(names) == 3


def test_view_when_the_validity_is_unknown(ask, issuer):
    issuer.down.update({JWKS, LIST})
    answer = ask(issuer.token())
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0


def test_view_when_posted_to(ask):
    request = RequestFactory().post("/")
    assert CsrfViewMiddleware(ask.view).process_view(request, ask.view, (), {}) is None


def test_view_when_it_is_a_coroutine():
    async def view(request):
        pass

    with pytest.raises(ImproperlyConfigured):
        require_token()(view)
