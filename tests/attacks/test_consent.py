"""Attacks on the pages: forged, replayed, tampered and framed (SECURITY.md B7 to B16)."""

import re
from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client

from delegation_app import toolkit
from delegation_app.models import (
    AccessToken,
    AuditEvent,
    AuthorizationCode,
    ConsentRecord,
    Delegation,
    PendingRequest,
)
from tests.support import SecureClient
from tests.support.world import CHALLENGE, FORM, PASSWORD, REDIRECT_URI, Story, redirected

LOGIN = "/accounts/login/"
AUTHORIZE = "/oauth/authorize"
# The host that Django's test client speaks to
HERE = "https://testserver"


def nothing_was_granted():
    return not (
        Delegation.objects.exists()
        or AuthorizationCode.objects.exists()
        or AccessToken.objects.exists()
        or ConsentRecord.objects.exists()
    )


def field(page, name):
    return re.search(rf'name="{name}" value="([^"]*)"', page.content.decode())[1]


@pytest.fixture
def strict(world):
    """Alice's browser, with the CSRF checks that the test client leaves out otherwise."""
    return strict_story(world, world.alice)


def strict_story(world, person):
    story = Story(world)
    story.browser = SecureClient(enforce_csrf_checks=True)
    story.browser.force_login(person)
    return story


def post(story, fields, **headers):
    headers = {"HTTP_ORIGIN": HERE, **headers}
    headers = {name: value for name, value in headers.items() if value is not None}
    body = urlencode(fields, doseq=True)
    return story.browser.post(AUTHORIZE, body, content_type=FORM, **headers)


def good_fields(page, **changes):
    fields = {
        "csrfmiddlewaretoken": field(page, "csrfmiddlewaretoken"),
        "handle": field(page, "handle"),
        "scopes": ["read:metrics"],
        "decision": "allow",
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


# What is forged, as in B11


@pytest.mark.conformance("AZ-15")
@pytest.mark.parametrize(
    "headers", [{}, {"HTTP_ORIGIN": None, "HTTP_REFERER": f"{HERE}/oauth/authorize?x"}]
)
def test_answer_when_it_comes_from_the_page_itself_then_it_counts(strict, headers):
    response = post(strict, good_fields(strict.authorize()), **headers)
    assert "code" in redirected(response)


@pytest.mark.conformance("AZ-15")
@pytest.mark.parametrize("token", [None, "", "x", "a" * 32, "a" * 64, "é" * 32])
def test_answer_when_its_csrf_token_is_missing_or_made_up_then_403(strict, token):
    page = strict.authorize()
    response = post(strict, good_fields(page, csrfmiddlewaretoken=token))
    assert response.status_code == 403
    assert "Location" not in response
    assert nothing_was_granted()
    # The question itself is still open: nobody but alice has spoken
    assert "code" in redirected(post(strict, good_fields(page)))


@pytest.mark.conformance("AZ-15")
@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_answer_when_its_csrf_token_is_another_persons_then_403(strict, decision):
    page = strict.authorize()
    theirs = strict_story(strict.world, strict.world.bob).authorize()
    token = field(theirs, "csrfmiddlewaretoken")
    response = post(strict, good_fields(page, csrfmiddlewaretoken=token, decision=decision))
    assert response.status_code == 403
    assert nothing_was_granted()


@pytest.mark.conformance("AZ-15")
@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_ORIGIN": "https://evil.example"},
        {"HTTP_ORIGIN": "null"},
        {"HTTP_ORIGIN": "http://testserver"},
        {"HTTP_ORIGIN": "https://testserver.evil.example"},
        {"HTTP_ORIGIN": "https://testserver:8443"},
        {"HTTP_ORIGIN": None, "HTTP_REFERER": "https://evil.example/"},
        {"HTTP_ORIGIN": None, "HTTP_REFERER": "http://testserver/oauth/authorize"},
        {"HTTP_ORIGIN": None},
    ],
    ids=str,
)
def test_answer_when_it_comes_from_another_origin_then_403_even_with_the_right_token(
    strict, headers
):
    response = post(strict, good_fields(strict.authorize()), **headers)
    assert response.status_code == 403
    assert nothing_was_granted()


@pytest.mark.conformance("AZ-15")
def test_answer_when_another_person_has_signed_in_meanwhile_then_refused(world):
    story = Story(world, world.alice)
    page = story.authorize()
    story.browser.force_login(world.bob)
    response = story.answer(page)
    assert response.status_code == 400
    assert nothing_was_granted()


@pytest.mark.conformance("AZ-15")
def test_answer_when_the_handle_is_kept_but_the_person_changes_in_the_session_then_refused(story):
    page = story.authorize()
    # As a site does that lets its staff act as somebody: same session, another person
    session = story.browser.session
    session["_auth_user_id"] = str(story.world.bob.pk)
    session["_auth_user_hash"] = story.world.bob.get_session_auth_hash()
    session.save()
    response = story.answer(page)
    assert response.status_code == 400
    assert "shown to another account" in response.content.decode()
    assert nothing_was_granted()


@pytest.mark.conformance("AZ-15")
def test_answer_when_the_handle_comes_from_another_session_then_refused(world):
    alice, bob = Story(world, world.alice), Story(world, world.bob)
    elsewhere = Story(world, world.alice)
    page = alice.authorize()
    for story in (bob, elsewhere):
        assert story.answer(page).status_code == 400
    assert nothing_was_granted()
    assert "code" in redirected(alice.answer(page))


def test_answer_when_the_person_has_signed_out_meanwhile_then_refused(story):
    page = story.authorize()
    story.browser.logout()
    response = story.answer(page)
    assert response.status_code == 400
    assert "signed out" in response.content.decode()
    assert nothing_was_granted()


@pytest.mark.parametrize("handle", ["", "x", "a" * 43, "__proto__", "../x", "é", "a" * 60_000])
def test_answer_when_the_handle_is_made_up_then_refused(story, handle):
    story.authorize()
    response = story.browser.post(
        AUTHORIZE, urlencode({"handle": handle, "decision": "allow"}), content_type=FORM
    )
    assert response.status_code == 400
    assert nothing_was_granted()


def test_answer_when_sent_by_get_then_it_is_no_answer(story):
    page = story.authorize()
    query = urlencode({"handle": field(page, "handle"), "decision": "allow", "scopes": "x"})
    assert story.authorize_raw(query).status_code == 400
    good = urlencode(story.authorize_parameters()) + "&" + query
    assert story.authorize_raw(good).status_code == 200
    assert nothing_was_granted()


# Replayed


@pytest.mark.conformance("AZ-15")
@pytest.mark.parametrize("first", ["allow", "deny"])
@pytest.mark.parametrize("second", ["allow", "deny"])
def test_answer_when_posted_again_then_the_first_one_stands(story, first, second):
    page = story.authorize()
    answered = story.answer(page, decision=first)
    records = list(ConsentRecord.objects.values())
    again = story.answer(page, decision=second)
    assert again.get("Location") == (answered["Location"] if first == second else None)
    assert list(ConsentRecord.objects.values()) == records
    assert Delegation.objects.count() == AuthorizationCode.objects.count() == (first == "allow")


def test_answer_when_its_request_is_not_on_file_then_refused(story):
    page = story.authorize()
    PendingRequest.objects.all().delete()
    response = story.answer(page)
    assert response.status_code == 400
    assert "too old" in response.content.decode()
    assert nothing_was_granted()


def test_answer_when_the_browsers_cookie_is_missing_or_made_up_then_refused(story):
    page = story.authorize()
    kept = story.browser.cookies["delegation_browser"].value
    for made_up in ("", "x", "a" * 43, kept[:-1], f"{kept}a", "é" * 43):
        story.browser.cookies["delegation_browser"] = made_up
        assert story.answer(page).status_code == 400
    assert nothing_was_granted()
    story.browser.cookies["delegation_browser"] = kept
    assert "code" in redirected(story.answer(page))


# Tampered with: B7


@pytest.mark.conformance("AZ-15", "AZ-24")
@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "https://other.example.com/callback"},
        {"client_id": "other"},
        {"state": "evil"},
        {"scope": "read:metrics write:alerts read:profile delete:alerts"},
        {"resource": "https://service-b.example.com"},
        {"audience": "https://service-b.example.com"},
        {"code_challenge": "A" * 43},
        {"code_challenge_method": "plain"},
        {"response_type": "token"},
        {"response_mode": "fragment"},
        {"prompt": "none"},
        {"user_id": "2", "username": "bob", "principal_user": "2"},
        {"expires_at": "2999-01-01", "chosen_expiry": "2999-01-01"},
        {"parent": "1", "constraints": "[]", "delegate": "2", "grant_type": "x"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_answer_when_it_brings_fields_of_its_own_then_what_was_shown_wins(story, changes):
    response = story.answer(story.authorize(), **changes)
    assert response["Location"].startswith(REDIRECT_URI + "?code=")
    assert redirected(response)["state"] == "af0ifjsldkj"
    delegation, code = Delegation.objects.get(), AuthorizationCode.objects.get()
    assert delegation.principal_user == story.world.alice
    assert delegation.delegate_client_id == "web"
    assert delegation.grant_type == "authorization_code"
    assert str(delegation.scopes) == "read:metrics write:alerts"
    assert str(delegation.audience) == "https://service-a.example.com"
    assert delegation.expires_at == delegation.consent.chosen_expiry
    assert delegation.expires_at.year < 2900
    assert delegation.parent is None
    assert (code.redirect_uri, code.code_challenge) == (REDIRECT_URI, CHALLENGE)


@pytest.mark.conformance("AZ-15")
def test_answer_when_a_second_page_was_opened_meanwhile_then_each_handle_keeps_its_own(story):
    narrow = story.authorize(scope="read:metrics", state="narrow")
    wide = story.authorize(scope="read:metrics write:alerts", state="wide")
    response = story.answer(narrow, scopes=["read:metrics", "write:alerts"])
    assert response.status_code == 400
    assert nothing_was_granted()
    assert redirected(story.answer(wide))["state"] == "wide"


# What has two meanings, as in B13


@pytest.mark.parametrize(
    "query",
    [
        "",
        "decision=",
        "decision=allow",
        "allow=1",
        "handle={handle}",
        "handle={handle}&decision=",
        "handle={handle}&decision=yes",
        "handle={handle}&decision=ALLOW",
        "handle={handle}&decision=allow%20",
        "handle={handle}&allow=1",
        "handle={handle}&decision[]=allow",
        "handle={handle}&decision=allow&decision=deny",
        "handle={handle}&decision=deny&decision=allow",
        "handle={handle}&decision=allow&decision=allow",
        "handle={handle}&handle={handle}&decision=allow",
        "handle={handle}&handle=x&decision=allow",
        "handle={handle}&decision=allow&scopes=%00",
        "handle={handle}&decision=allow&scopes=%ff",
        "handle={handle}&decision=allow%00",
    ],
)
def test_answer_when_it_is_empty_or_ambiguous_then_no_code(story, query):
    page = story.authorize()
    body = query.format(handle=field(page, "handle"))
    response = story.browser.post(AUTHORIZE, body, content_type=FORM)
    assert response.status_code == 400
    assert "Location" not in response
    assert nothing_was_granted()


def test_answer_when_it_names_a_scope_twice_then_once_is_meant(story):
    story.answer(story.authorize(), scopes=["read:metrics", "read:metrics"])
    assert str(Delegation.objects.get().scopes) == "read:metrics"


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", "text/plain"])
def test_answer_when_it_is_no_form_then_refused(story, kind):
    page = story.authorize()
    body = urlencode({"handle": field(page, "handle"), "decision": "allow"})
    response = story.browser.post(AUTHORIZE, body, content_type=kind)
    assert response.status_code == 400
    assert nothing_was_granted()


# Framed, and what leaks: B10


def pages(world):
    """Every page a person may see on the way."""
    story = Story(world, world.alice)
    consent = story.authorize()
    return {
        "consent": consent,
        "error": story.authorize(client_id="nope"),
        "answer refused": story.answer(consent, handle="x"),
        "csrf": strict_story(world, world.alice).browser.post(AUTHORIZE, {}),
        "login": story.browser.get(LOGIN),
        "login failed": story.browser.post(LOGIN, {"username": "x", "password": "y"}),
    }


PAGES = ["consent", "error", "answer refused", "csrf", "login", "login failed"]
OURS = ["consent", "error", "answer refused"]


@pytest.mark.conformance("AZ-18")
@pytest.mark.parametrize("name", PAGES)
def test_page_when_shown_then_nobody_can_frame_it(world, name):
    page = pages(world)[name]
    assert page["Content-Type"].startswith("text/html")
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "DENY"
    assert page["X-Content-Type-Options"] == "nosniff"


@pytest.mark.conformance("AZ-19")
@pytest.mark.parametrize("name", PAGES)
def test_page_when_shown_then_no_other_site_is_told_or_loaded(world, name):
    page = pages(world)[name]
    # same-origin, not no-referrer: with that, Chromium sends “Origin: null” with the form and
    # Django's CSRF check refuses it. Another site is told just as little.
    assert page["Referrer-Policy"] == "same-origin"
    html = page.content.decode()
    links = re.findall(r'(?:src|href|action|data|srcset|poster)="([^"]*)"', html)
    assert [link for link in links if urlsplit(link).netloc or urlsplit(link).scheme] == []
    assert "<script" not in html
    assert "<iframe" not in html
    assert "@import" not in html


@pytest.mark.conformance("AZ-19")
def test_redirect_when_it_leaves_then_it_names_no_referrer(story):
    answers = [
        story.answer(story.authorize()),
        story.authorize(),
        story.answer(story.authorize(prompt="consent"), decision="deny"),
        story.authorize(scope="no:such"),
    ]
    for answer in answers:
        assert answer.status_code == 303
        assert answer["Referrer-Policy"] == "no-referrer"
        assert answer["Cache-Control"] == "no-store"
        assert answer.content == b""


@pytest.mark.parametrize("name", OURS)
def test_page_when_shown_then_policy_allows_nothing_but_its_own_style_and_form(world, name):
    page = pages(world)[name]
    policy = dict(part.split(" ", 1) for part in page["Content-Security-Policy"].split("; "))
    goes_to = "'self' https://web.example.com" if name == "consent" else "'self'"
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self'",
        "form-action": goes_to,
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert page["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://c.example.com:8443/cb", "https://c.example.com:8443"),
        ("https://c.example.com;script-src/cb", "https:"),
        ("http://127.0.0.1/cb", "http://127.0.0.1"),
        ("http://[::1]:9/cb", "http:"),
        ("com.example.app:/cb", "com.example.app:"),
    ],
)
def test_policy_when_the_redirect_uri_is_unusual_then_it_stays_one_well_formed_policy(
    story, settings, uri, source
):
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http", "com.example.app"],
    }
    toolkit.application_model().objects.filter(client_id="web").update(redirect_uris=uri)
    page = story.authorize(redirect_uri=uri)
    policy = page["Content-Security-Policy"]
    names = [part.split(" ", 1)[0] for part in policy.split("; ")]
    assert names == [
        "default-src",
        "style-src",
        "img-src",
        "form-action",
        "base-uri",
        "frame-ancestors",
    ]
    assert policy.count(";") == 5
    assert f"form-action 'self' {source};" in policy


# Line breaks: B14

SPLITTERS = ["a\r\nSet-Cookie: x=1", "a\nLocation: https://evil.example", "a\r\n\r\n<script>", "\r"]


@pytest.mark.parametrize("text", SPLITTERS, ids=ascii)
@pytest.mark.parametrize("name", ["state", "scope", "redirect_uri", "client_id", "resource"])
def test_line_breaks_when_in_a_parameter_then_no_header_is_split(story, name, text):
    response = story.authorize(**{name: text})
    assert response.status_code in {200, 303, 400}
    for value in response.headers.values():
        assert "\r" not in value
        assert "\n" not in value
    assert "x" not in response.cookies
    location = response.get("Location", REDIRECT_URI)
    assert location.startswith(REDIRECT_URI)
    if name == "state":
        assert redirected(story.answer(response))["state"] == text


@pytest.mark.parametrize("text", SPLITTERS, ids=ascii)
def test_line_breaks_when_in_a_stored_uri_or_name_then_no_header_is_split(story, text):
    applications = toolkit.application_model().objects.filter(client_id="web")
    applications.update(name=text, redirect_uris=f"https://web.example.com/{text}")
    for changes in ({}, {"redirect_uri": f"https://web.example.com/{text}"}):
        response = story.authorize(**changes)
        for value in response.headers.values():
            assert "\r" not in value
            assert "\n" not in value
    applications.update(redirect_uris=REDIRECT_URI)
    response = story.answer(story.authorize(redirect_uri=REDIRECT_URI))
    assert "code" in redirected(response)


def test_line_breaks_when_in_the_request_id_then_it_is_replaced(story):
    story.browser.defaults["HTTP_X_REQUEST_ID"] = "abcdefgh\r\nX-Evil: 1"
    page = story.authorize()
    assert re.fullmatch(r"[0-9a-f]{32}", page["X-Request-Id"])
    story.answer(page)
    assert not AuditEvent.objects.filter(request_id__contains="Evil").exists()


# Markup


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7|add:7 }}"]
)
def test_markup_when_in_a_parameter_then_no_page_repeats_it(story, text):
    for name in ("client_id", "redirect_uri", "state", "scope", "resource", "prompt", "foo"):
        html = story.authorize(**{name: text}).content.decode()
        assert text not in html
    html = story.answer(story.authorize(), handle=text).content.decode()
    assert text not in html


# Plain http


def test_pages_when_the_connection_is_not_secure_then_no_question_and_no_answer(story):
    plain = Client()
    plain.cookies = story.browser.cookies
    query = urlencode(story.authorize_parameters())
    refused = plain.get(f"{AUTHORIZE}?{query}")
    assert (refused.status_code, "Location" in refused) == (400, False)
    page = story.authorize()
    body = urlencode(good_fields(page, csrfmiddlewaretoken=None))
    assert plain.post(AUTHORIZE, body, content_type=FORM).status_code == 400
    assert nothing_was_granted()


# The login page


def test_login_when_its_csrf_token_is_missing_then_403(world):
    browser = SecureClient(enforce_csrf_checks=True)
    fields = {"username": "alice", "password": PASSWORD}
    assert browser.post(LOGIN, fields, HTTP_ORIGIN=HERE).status_code == 403
    assert "_auth_user_id" not in browser.session


def test_login_when_it_succeeds_then_the_session_has_another_key(world):
    story = Story(world)
    story.browser.get(LOGIN)
    session = story.browser.session
    session["planted"] = "by an attacker"
    session.save()
    before = session.session_key
    story.browser.cookies["sessionid"] = before
    story.browser.post(LOGIN, {"username": "alice", "password": PASSWORD})
    assert story.browser.session.session_key != before
    assert story.browser.session["_auth_user_id"] == str(world.alice.pk)
