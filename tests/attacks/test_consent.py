"""Attacks on the consent page: forged, replayed, tampered, framed, with hostile words."""

import re
from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client

from delegation_app import toolkit
from delegation_app.models import (
    AccessToken,
    AuthorizationCode,
    ConsentRecord,
    Delegation,
    PendingRequest,
    ResourceServer,
)
from delegation_app.services.consent.fragments import fragments, sanitize, text_of
from tests.admin.conftest import browser, page
from tests.support import SecureClient
from tests.support.answers import each
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
        "csrfmiddlewaretoken": field(page, "csrfmiddlewaretoken"), "handle": field(page, "handle"),
        "scopes": ["read:metrics"], "decision": "allow", **changes,
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value is not None}


# What is forged, as in B11


@pytest.mark.conformance("AZ-15")
@pytest.mark.parametrize(
    "headers", [{}, {"HTTP_ORIGIN": None, "HTTP_REFERER": f"{HERE}/oauth/authorize?x"}]
)
def test_answer_when_it_comes_from_the_page_itself(strict, headers):
    response = post(strict, good_fields(strict.authorize()), **headers)
    assert "code" in redirected(response)


@pytest.mark.conformance("AZ-15")
@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_answer_when_its_csrf_token_is_not_this_pages(strict, decision):
    page = strict.authorize()
    theirs = strict_story(strict.world, strict.world.bob).authorize()
    others = (None, "", "x", "a" * 32, "a" * 64, "é" * 32, field(theirs, "csrfmiddlewaretoken"))
    for token in others:
        with each(token):
            fields = good_fields(page, csrfmiddlewaretoken=token, decision=decision)
            response = post(strict, fields)
            assert (response.status_code, "Location" in response) == (403, False)
            assert nothing_was_granted()
    # The question itself is still open: no user but alice has answered
    assert "code" in redirected(post(strict, good_fields(page)))


@pytest.mark.conformance("AZ-15")
def test_answer_when_it_comes_from_another_origin_with_the_right_token(strict):
    fields = good_fields(strict.authorize())
    for origin, referer in (
        ("https://evil.example", None),
        ("null", None),
        ("http://testserver", None),
        ("https://testserver.evil.example", None),
        ("https://testserver:8443", None),
        (None, "https://evil.example/"),
        (None, "http://testserver/oauth/authorize"),
        (None, None),
    ):
        with each((origin, referer)):
            response = post(strict, fields, HTTP_ORIGIN=origin, HTTP_REFERER=referer)
            assert response.status_code == 403
            assert nothing_was_granted()


@pytest.mark.conformance("AZ-15")
def test_answer_when_the_handle_is_kept_but_the_person_changes_in_the_session(story):
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
def test_answer_when_the_handle_comes_from_another_session(world):
    alice, bob = Story(world, world.alice), Story(world, world.bob)
    elsewhere = Story(world, world.alice)
    page = alice.authorize()
    for story in (bob, elsewhere):
        assert story.answer(page).status_code == 400
    assert nothing_was_granted()
    assert "code" in redirected(alice.answer(page))


def test_answer_when_sent_by_get(story):
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
def test_answer_when_posted_again(story, first, second):
    page = story.authorize()
    answered = story.answer(page, decision=first)
    records = list(ConsentRecord.objects.values())
    again = story.answer(page, decision=second)
    assert again.get("Location") == (answered["Location"] if first == second else None)
    assert list(ConsentRecord.objects.values()) == records
    assert Delegation.objects.count() == AuthorizationCode.objects.count() == (first == "allow")


def test_answer_when_its_request_is_not_on_file(story):
    page = story.authorize()
    PendingRequest.objects.all().delete()
    response = story.answer(page)
    assert response.status_code == 400
    assert "too old" in response.content.decode()
    assert nothing_was_granted()


def test_answer_when_the_browsers_cookie_is_missing_or_made_up(story):
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
def test_answer_when_it_brings_fields_of_its_own(story, changes):
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
def test_answer_when_a_second_page_was_opened_meanwhile(story):
    narrow = story.authorize(scope="read:metrics", state="narrow")
    wide = story.authorize(scope="read:metrics write:alerts", state="wide")
    response = story.answer(narrow, scopes=["read:metrics", "write:alerts"])
    assert response.status_code == 400
    assert nothing_was_granted()
    assert redirected(story.answer(wide))["state"] == "wide"


@pytest.mark.parametrize(
    "query",
    [
        "", "decision=", "decision=allow", "allow=1", "handle={handle}",
        "handle={handle}&decision=", "handle={handle}&decision=yes",
        "handle={handle}&decision=ALLOW", "handle={handle}&decision=allow%20",
        "handle={handle}&allow=1", "handle={handle}&decision[]=allow",
        "handle={handle}&decision=allow&decision=deny",
        "handle={handle}&decision=deny&decision=allow",
        "handle={handle}&decision=allow&decision=allow",
        "handle={handle}&handle={handle}&decision=allow", "handle={handle}&handle=x&decision=allow",
        "handle={handle}&decision=allow&scopes=%00", "handle={handle}&decision=allow&scopes=%ff",
        "handle={handle}&decision=allow%00",
    ],
)  # fmt: skip
def test_answer_when_it_is_empty_or_ambiguous(story, query):
    page = story.authorize()
    body = query.format(handle=field(page, "handle"))
    response = story.browser.post(AUTHORIZE, body, content_type=FORM)
    assert response.status_code == 400
    assert "Location" not in response
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


OURS = ("consent", "error", "answer refused")


@pytest.mark.conformance("AZ-18", "AZ-19")
def test_pages_when_shown(world):
    for name, shown in pages(world).items():
        with each(name):
            assert shown["Content-Type"].startswith("text/html")
            assert "frame-ancestors 'none'" in shown["Content-Security-Policy"]
            assert shown["X-Frame-Options"] == "DENY"
            assert shown["X-Content-Type-Options"] == "nosniff"
            # same-origin, not no-referrer: with that, Chromium sends “Origin: null” with the form
            # and Django's CSRF check refuses it. Another site is told just as little.
            assert shown["Referrer-Policy"] == "same-origin"
            html = shown.content.decode()
            links = re.findall(r'(?:src|href|action|data|srcset|poster)="([^"]*)"', html)
            assert not [link for link in links if urlsplit(link).netloc or urlsplit(link).scheme]
            for text in ("<script", "<iframe", "@import"):
                assert text not in html


@pytest.mark.conformance("AZ-19")
def test_redirect_when_it_leaves(story):
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


def test_pages_of_ours_when_shown(world):
    for name, shown in pages(world).items():
        if name not in OURS:
            continue
        goes_to = "'self' https://web.example.com" if name == "consent" else "'self'"
        assert shown["Content-Security-Policy"] == (
            f"default-src 'none'; style-src 'self'; img-src 'self'; form-action {goes_to}; "
            "base-uri 'none'; frame-ancestors 'none'"
        ), name
        assert shown["Cache-Control"] == "no-store"


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
def test_policy_when_the_redirect_uri_is_unusual(story, settings, uri, source):
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http", "com.example.app"],
    }
    toolkit.application_model().objects.filter(client_id="web").update(redirect_uris=uri)
    page = story.authorize(redirect_uri=uri)
    policy = page["Content-Security-Policy"]
    names = [part.split(" ", 1)[0] for part in policy.split("; ")]
    assert names == [
        "default-src", "style-src", "img-src", "form-action", "base-uri", "frame-ancestors",
    ]  # fmt: skip
    assert policy.count(";") == 5
    assert f"form-action 'self' {source};" in policy


# Line breaks: B14

SPLITTERS = ["a\r\nSet-Cookie: x=1", "a\nLocation: https://evil.example", "a\r\n\r\n<script>", "\r"]


@pytest.mark.parametrize("text", SPLITTERS, ids=ascii)
@pytest.mark.parametrize("name", ["state", "scope", "redirect_uri", "client_id", "resource"])
def test_line_breaks_when_in_a_parameter(story, name, text):
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
def test_line_breaks_when_in_a_stored_uri_or_name(story, text):
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


def test_pages_when_the_connection_is_not_secure(story):
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


def test_login_when_it_succeeds(world):
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


# Hostile words on the consent page and in the console: from clients, policies and scopes
MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
# Turns what follows, and ends an isolation from within
TURNED = "Bank\u202e\u2066\u2069 kcatta %(day)s %s {% now 'Y' %}"


def hostile(world, settings, text):
    toolkit.application_model().objects.filter(client_id="web").update(name=text)
    ResourceServer.objects.filter(name="Service A").update(name=text)
    world.web.change(
        home_page="javascript:alert(1)",
        privacy_page="https://user:pw@evil.example/<script>",
        required_scopes="read:metrics",
    )
    scopes = {**settings.OAUTH2_PROVIDER["SCOPES"], "read:metrics": text}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": scopes}


@pytest.mark.parametrize("text", [MARKUP, TURNED], ids=["markup", "direction"])
def test_words_when_they_are_hostile(world, settings, text):
    story = Story(world, world.alice)
    hostile(world, settings, text)
    asked = story.authorize()
    again = story.answer(asked, scopes=["write:alerts"])
    assert again.status_code == 400
    story.answer(again, scopes=["read:metrics"])
    record = ConsentRecord.objects.get()
    reviewed = browser("operator").get(page("consentrecord", "change", record.pk))
    for response in (asked, again, reviewed):
        html = response.content.decode()
        assert "<script>alert" not in html
        assert "<img src=x" not in html
    for response in (asked, again):
        # Neither address is one to lead people to, however it came into the table
        assert "javascript:" not in response.content.decode()
        assert "evil.example" not in response.content.decode()
        assert not set("\u202e\u2066\u2069") & set(response.content.decode())
    assert text_of(record.shown["heading"]) == f"Let {sanitize(text)} act for you?"


def test_name_when_it_is_empty_or_blank(world):
    toolkit.application_model().objects.filter(client_id="web").update(name="\u202e \n")
    html = Story(world, world.alice).authorize().content.decode()
    assert "Let <bdi><strong>web</strong></bdi> act for you?" in html


def test_name_when_it_looks_like_a_place_in_a_sentence():
    found = fragments("%(app)s at %(place)s, 100%%", app="%(place)s", place="B")
    assert text_of(found) == "%(place)s at B, 100%"
    assert [kind for kind, _text in found] == ["name", "plain", "name", "plain"]


def test_answer_when_a_page_said_that_something_is_held_of_another_person(world):
    alice, bob = Story(world, world.alice), Story(world, world.bob)
    alice.tokens(scopes=["read:metrics"])
    asked = alice.authorize()
    PendingRequest.objects.update(subject=f"user:{world.bob.pk}")
    bob.browser.cookies["delegation_browser"] = alice.browser.cookies["delegation_browser"].value
    response = bob.answer(asked)
    assert response.status_code == 400
    assert "has changed just now" in response.content.decode()
    assert Delegation.objects.filter(principal_user=world.bob).count() == 0
