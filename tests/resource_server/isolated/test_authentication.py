"""Who gets in, what is refused, and how it says so."""

import logging
import re

import pytest
from django.core.exceptions import ImproperlyConfigured
from rest_framework.permissions import AllowAny, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate

from delegation_app.protocol.errors import TemporarilyUnavailable
from delegation_app.protocol.verified_token import VerifiedToken
from delegation_app.resource_server import runtime
from delegation_app.resource_server.authentication import BearerAuthentication
from delegation_app.resource_server.permissions import RequireScopes
from delegation_app.resource_server.principal import Principal
from tests.resource_server.isolated.service import Answering, attributes
from tests.resource_server.issuer import AUDIENCE, ISSUER, JWKS, LIST
from tests.support.calls import calls

METADATA = "https://service-a.example.com/.well-known/oauth-protected-resource"
FORM = "application/x-www-form-urlencoded"
READ = RequireScopes("read:metrics")


class StandIn:
    """A verifier with a fixed outcome."""

    def __init__(self, audience, error=None):
        self.audience = audience
        self.error = error
        self.asked = []

    def verify(self, text, call):
        self.asked.append((text, call))
        raise self.error


# Who gets in


@pytest.mark.conformance("BR-01")
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_view_when_the_token_is_good_then_it_answers(service, scheme):
    header = f"{scheme} {service.issuer.token()}"
    answer = service.ask(service.view(READ), HTTP_AUTHORIZATION=header)
    assert answer.status_code == 200
    assert answer.data == {"user": "user:7"}


def test_view_when_the_token_is_good_then_user_and_auth_are_made_of_it(service):
    seen = {}

    class Telling(Answering):
        def get(self, request):
            seen.update(user=request.user, auth=request.auth)
            return Response()

    token = service.issuer.token(act={"sub": "client:a", "client_id": "a"})
    service.ask(service.view(IsAuthenticated, base=Telling), token)

    assert isinstance(seen["user"], Principal)
    assert isinstance(seen["auth"], VerifiedToken)
    assert (seen["user"].pk, seen["user"].client_id) == ("user:7", "web")
    assert seen["user"].actor == {"sub": "client:a", "client_id": "a"}
    assert token not in repr(seen)


def test_view_when_it_asks_for_staff(service):
    assert service.ask(service.view(IsAdminUser), service.issuer.token()).status_code == 403


def test_view_when_a_test_forces_a_user(service):
    request = APIRequestFactory().get("/")
    token = VerifiedToken.of(service.issuer.claims())
    force_authenticate(request, Principal.of(token), token)
    assert service.view(READ)(request).status_code == 200
    assert service.view(RequireScopes("other"))(request).status_code == 403


# Caches


@pytest.mark.conformance("BR-07")
def test_answer_when_a_token_let_in(service):
    view = service.view(READ)
    for token, status in [(service.issuer.token(), 200), ("garbage", 401), (None, 401)]:
        answer = service.ask(view, token)
        assert (answer.status_code, answer["Cache-Control"]) == (status, "no-store")
    assert service.with_claims(RequireScopes("other"))["Cache-Control"] == "no-store"


def test_answer_when_a_view_is_protected(service, caplog):
    view = service.view(READ)
    with caplog.at_level(logging.INFO):
        refused = service.ask(view, "garbage")

    assert f"refused {refused['X-Request-Id']}: " in caplog.text
    others = [
        service.ask(view, service.issuer.token(), HTTP_X_REQUEST_ID="of-the-caller"),
        service.ask(view),
        service.with_claims(RequireScopes("other")),
    ]
    names = {answer["X-Request-Id"] for answer in (refused, *others)}
    assert len(names) == 4
    assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in names)


@pytest.mark.conformance("BR-04")
def test_answer_when_there_is_no_token(service):
    assert set(service.ask(service.view(READ)).data) == {"detail"}


@pytest.mark.parametrize(
    ("chosen", "header"), [("private, max-age=60", "private, max-age=60"), (None, None)]
)
def test_answer_when_the_view_says_how_it_may_be_stored(service, chosen, header):
    view = service.view(READ, cache_control=chosen)
    assert service.ask(view, service.issuer.token()).get("Cache-Control") == header


# Without a token


@pytest.mark.conformance("BR-04", "BR-06", "PR-05")
@pytest.mark.parametrize("header", [None, "", "Basic d2ViOng=", "Digest a=b", "Bearerx y"])
def test_view_when_there_is_no_token(service, header):
    sent = {} if header is None else {"HTTP_AUTHORIZATION": header}

    answer = service.ask(service.view(READ), **sent)

    assert answer.status_code == 401
    assert attributes(answer) == {
        "realm": AUDIENCE,
        "scope": "read:metrics",
        "resource_metadata": METADATA,
    }


@pytest.mark.conformance("PR-07")
def test_challenge_when_the_view_asks_for_offline_access(service):
    view = service.view(RequireScopes("read:metrics offline_access"))
    assert attributes(service.ask(view))["scope"] == "read:metrics"


def test_view_when_it_demands_no_scope(service):
    assert attributes(service.ask(service.view(IsAuthenticated))).keys() == {
        "realm",
        "resource_metadata",
    }


@pytest.mark.conformance("BR-02")
def test_view_when_the_token_is_in_the_query(service):
    path = f"/metrics?access_token={service.issuer.token()}"
    answer = service.ask(service.view(READ), path=path)
    assert answer.status_code == 401
    assert "error" not in attributes(answer)
    # Where anybody may come, it changes nothing
    assert service.ask(service.view(AllowAny), path=path).data == {"user": "None"}


def test_view_when_the_token_is_in_a_form(service):
    body = f"access_token={service.issuer.token()}"
    answer = service.ask(service.view(READ), method="POST", data=body, content_type=FORM)
    assert answer.status_code == 401


@pytest.mark.conformance("BR-03", "BR-05")
@pytest.mark.parametrize("content_type", [FORM, f"{FORM}; charset=utf-8", FORM.upper()])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_view_when_the_token_comes_in_a_form_too(service, method, content_type):
    token = service.issuer.token()
    answer = service.ask(
        service.view(READ), token, method, data="access_token=x", content_type=content_type
    )
    assert answer.status_code == 400
    assert attributes(answer)["error"] == answer.data["error"] == "invalid_request"


@pytest.mark.conformance("BR-02", "BR-03")
def test_view_when_the_token_comes_in_the_query_too(service):
    token = service.issuer.token()
    answer = service.ask(service.view(READ), token, path="/metrics?access_token=")
    assert (answer.status_code, answer.data["error"]) == (400, "invalid_request")


def test_view_when_a_form_has_other_fields(service):
    class Echo(Answering):
        def post(self, request):
            return Response(dict(request.data.items()))

    view = service.view(READ, base=Echo)
    token = service.issuer.token()
    answer = service.ask(view, token, "POST", data="message=hot", content_type=FORM)

    assert answer.data == {"message": "hot"}


def test_view_when_a_form_cannot_be_read(service):
    def broken(_size=-1):
        raise OSError("the client went away")

    sent = {"HTTP_AUTHORIZATION": f"Bearer {service.issuer.token()}"}
    request = APIRequestFactory().generic("POST", "/", "a=b", FORM, **sent)
    request._stream.read = broken

    assert service.view(READ)(request).data["error"] == "invalid_request"


@pytest.mark.conformance("BR-03", "BR-05")
@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer a b", "Bearer a, Bearer b"])
def test_view_when_the_header_is_malformed(service, header):
    answer = service.ask(service.view(READ), HTTP_AUTHORIZATION=header)
    assert answer.status_code == 400
    assert attributes(answer)["error"] == answer.data["error"] == "invalid_request"


# With a token that is not good


@pytest.mark.conformance("BR-05", "BR-06")
@pytest.mark.parametrize("token", ["x", "a.b.c", "é.ü.ö", "a,b", "x" * 54, "x" * 100_000, '"'])
def test_view_when_the_token_is_garbage(service, token):
    answer = service.ask(service.view(READ), token)

    assert answer.status_code == 401
    assert attributes(answer) == {
        "realm": AUDIENCE,
        "error": "invalid_token",
        "error_description": "The access token is not valid.",
        "scope": "read:metrics",
        "resource_metadata": METADATA,
    }
    assert answer.data["error"] == "invalid_token"


def test_view_when_anybody_may_come(service):
    assert service.ask(service.view(AllowAny), "garbage").status_code == 401


def test_view_when_the_token_was_revoked(service):
    service.issuer.revoked[LIST].add(3)
    assert service.ask(service.view(READ), service.issuer.token()).status_code == 401


def test_view_when_a_401_comes_after_another_scheme(service):
    class Silent(BearerAuthentication):
        def authenticate(self, request):
            return None

        def authenticate_header(self, request):
            return None

    view = service.view(READ, authentication_classes=[Silent, service.bearer])
    answer = service.ask(view, "garbage")

    assert answer.status_code == 401
    assert attributes(answer)["error"] == "invalid_token"


def test_log_when_a_token_is_refused(service, caplog):
    token = service.issuer.token(iss="https://elsewhere.example.com")
    with caplog.at_level(logging.DEBUG):
        service.ask(service.view(READ), token)
    assert "invalid_token" in caplog.text
    assert "iss" in caplog.text
    assert all(part not in caplog.text for part in token.split("."))


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://service-b.example.com"},
        {"iss": "https://elsewhere.example.com"},
        {"exp": 1_700_000_000, "iat": 1_600_000_000, "nbf": 1_600_000_000},
        {"nbf": 1_900_000_000},
    ],
    ids=lambda claims: next(iter(claims)),
)
def test_log_when_a_claim_does_not_fit(service, settings, caplog, debug, claims):
    settings.DEBUG = debug
    with caplog.at_level(logging.DEBUG, logger="delegation_app"):
        assert service.with_claims(READ, **claims).status_code == 401
    [record] = [one for one in caplog.records if one.name.startswith("delegation_app")]
    assert record.levelname == ("WARNING" if debug else "INFO")
    assert "expected" in record.getMessage()
    assert str(next(iter(claims.values()))) in record.getMessage()


@pytest.mark.parametrize("detail", ["x" * 10_000, "a\nrefused: nothing"])
def test_log_when_a_detail_is_hostile(service, caplog, detail):
    verifier = StandIn(AUDIENCE, TemporarilyUnavailable("Wait.", detail=detail))
    view = service.view(READ, authentication_classes=[BearerAuthentication.using(verifier)])
    with caplog.at_level(logging.INFO):
        service.ask(view, "x")
    assert len(caplog.text) < 1000
    assert len(caplog.text.splitlines()) == 1


# What is long


@pytest.mark.parametrize(
    ("header", "piece"),
    [
        ("HTTP_AUTHORIZATION", "Bearer a "),
        ("HTTP_AUTHORIZATION", "Basic a,"),
        ("HTTP_X_FORWARDED_FOR", "192.0.2.1,"),
        ("HTTP_X_FORWARDED_FOR", "1:"),
        ("HTTP_FORWARDED", "for=192.0.2.1,"),
        ("HTTP_X_REQUEST_ID", "a"),
    ],
)
def test_header_when_it_is_long(service, configure, header, piece):
    configure(TRUSTED_PROXIES=["127.0.0.0/8"])
    view, token = service.view(READ), service.issuer.token()
    sent = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
    service.ask(view, **sent)

    few, many = (
        calls(lambda count=count: service.ask(view, **sent | {header: piece * count}))
        for count in (2, 100_000 // len(piece))
    )

    assert many < few + 500


# When nobody can tell


@pytest.mark.conformance("RS-07")
def test_view_when_the_validity_is_unknown(service):
    service.issuer.down.update({JWKS, LIST})
    answer = service.ask(service.view(READ), service.issuer.token())
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert answer.data["error"] == "temporarily_unavailable"
    assert "WWW-Authenticate" not in answer
    assert answer["Cache-Control"] == "no-store"


def test_view_when_the_verifier_breaks(service):
    verifier = StandIn(AUDIENCE, RuntimeError("a bug"))
    view = service.view(READ, authentication_classes=[BearerAuthentication.using(verifier)])
    with pytest.raises(RuntimeError, match="a bug"):
        service.ask(view, "x")


# Which verifier


@pytest.mark.conformance("RS-07")
def test_views_when_they_name_their_verifiers(service):
    other = "https://service-b.example.com"
    there = BearerAuthentication.using(service.issuer.verifier(other))
    here, elsewhere = service.view(READ), service.view(READ, authentication_classes=[there])
    token = service.issuer.token(aud=other)

    assert service.ask(here, token).status_code == 401
    assert service.ask(elsewhere, token).status_code == 200
    assert attributes(service.ask(elsewhere))["realm"] == other
    assert attributes(service.ask(elsewhere))["resource_metadata"].startswith(other)


def test_challenge_when_name_and_metadata_are_given(service):
    bearer = BearerAuthentication.using(service.issuer.verifier(), realm="a", metadata_url="")
    view = service.view(READ, authentication_classes=[bearer])
    assert attributes(service.ask(view)) == {"realm": "a", "scope": "read:metrics"}


def test_challenge_when_the_settings_say_so(service, configure):
    configure(REALM="metrics", METADATA_URL="https://meta.example.com/a")
    view = service.view(READ, authentication_classes=[BearerAuthentication])
    assert attributes(service.ask(view)) == {
        "realm": "metrics",
        "scope": "read:metrics",
        "resource_metadata": "https://meta.example.com/a",
    }


def test_challenge_when_the_host_header_is_forged(service):
    view = service.view(READ, authentication_classes=[BearerAuthentication])
    answer = service.ask(view, HTTP_HOST="evil.example", HTTP_X_FORWARDED_HOST="evil.example")
    assert "evil" not in answer["WWW-Authenticate"]


def test_verifier_when_no_view_names_one(service, configure, monkeypatch):
    made = []

    def offline(*arguments, **named):
        made.append((arguments, named))
        return service.issuer.verifier()

    monkeypatch.setattr(runtime, "OfflineVerifier", offline)
    configure(JWKS_URI=JWKS, POLL_SECONDS=2, MAX_STALENESS=6, TOKEN_CACHE_SIZE=7)
    configure(CLOCK_SKEW_SECONDS=3)
    view = service.view(READ, authentication_classes=[BearerAuthentication])

    assert [service.ask(view, service.issuer.token()).status_code for _ in "12"] == [200, 200]
    assert made == [
        (
            (ISSUER, AUDIENCE),
            {
                "jwks_uri": JWKS,
                "poll_seconds": 2,
                "max_staleness": 6,
                "skew_seconds": 3,
                "cache_size": 7,
            },
        )
    ]


def test_view_when_the_verifier_of_the_settings_is_no_class(service, configure):
    configure(VERIFIER="nowhere.Verifier")
    view = service.view(READ, authentication_classes=[BearerAuthentication])
    with pytest.raises(ImproperlyConfigured, match=r"nowhere\.Verifier"):
        service.ask(view, "x")
