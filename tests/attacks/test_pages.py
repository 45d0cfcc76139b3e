"""Attacks on all pages at once (SECURITY.md B10, G8, G10), by the table of addresses."""

import html
import itertools
import re
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import reverse

from delegation_app import toolkit
from delegation_app.events import REQUEST_REFUSED
from delegation_app.models import (
    AuditEvent,
    ClientPolicy,
    ConsentRecord,
    Delegation,
    ResourceServer,
)
from delegation_app.services import audit
from delegation_app.views.cookies import StorableCookiesMiddleware
from tests.support import SecureClient, site_map
from tests.support.answers import each
from tests.support.world import delegation_of

pytestmark = pytest.mark.any_database

PAYLOAD = "\"'><x-mark x-mark=1><!--</title></script><script>x-mark()</script>"


@pytest.fixture
def town(world):
    return site_map.Town(world)


def is_page(answer):
    redirects = 300 <= answer.status_code < 400
    return not redirects and answer.get("Content-Type", "").startswith("text/html")


def visitor_of(line):
    return "superuser" if line.name.startswith("admin") else "alice"


def test_page_when_sent_to_anybody(town):
    wrong, seen = [], set()
    for line, address in town.addresses():
        for role in ("nobody", "bob", visitor_of(line)):
            with site_map.undone():
                answers = [
                    town.get(role, address),
                    town.post(role, address),
                    town.post(role, address, token=""),
                ]
            for answer in filter(is_page, answers):
                seen.add(answer.status_code)
                policy = answer.get("Content-Security-Policy", "")
                if (
                    answer.get("X-Frame-Options") != "DENY"
                    or "frame-ancestors 'none'" not in policy
                ):
                    wrong.append(f"{address} as {role} can be framed")
                user = town.users[role]
                names = user is not None and f">{user.username}<".encode() in answer.content
                if (
                    names
                    and line.name not in KEPT
                    and "no-store" not in answer.get("Cache-Control", "")
                ):
                    wrong.append(f"{address} as {role} may be stored")
    assert not wrong, "\n".join(wrong)
    # Errors are pages too
    assert {200, 400, 403, 404, 405} <= seen


# Django's own, which lets browsers keep them; they name nobody but the person
KEPT = {"admin:password_change", "admin:password_change_done"}


class Marks(HTMLParser):
    """What was made of the payload: an element, an attribute or a script."""

    def __init__(self, text):
        super().__init__()
        self.found, self._in_script = [], False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self._in_script = tag in {"script", "style"}
        if "x-mark" in tag or any("x-mark" in name for name, _ in attrs):
            self.found.append(self.get_starttag_text()[:200])
        for name, value in attrs:
            if name in {"href", "src", "action"} and (value or "").lower().startswith(
                "javascript:"
            ):
                self.found.append(f"{name}={value}")

    def handle_data(self, data):
        if self._in_script and "<x-mark" in data:
            self.found.append(data[:200])
        self._in_script = False

    def handle_comment(self, data):
        if "x-mark" in data:
            self.found.append(data[:200])


@pytest.fixture
def hostile(town, settings):
    """The payload stands in every field that somebody else may have filled in."""
    ended = delegation_of(town.story.tokens(town.world.mobile))
    registry = toolkit.application_model().objects
    registry.update(
        name=PAYLOAD,
        redirect_uris=f"https://web.example.com/callback javascript:x-mark() https://a/{PAYLOAD}",
        post_logout_redirect_uris=PAYLOAD,
        allowed_origins=PAYLOAD,
    )
    for number, server in enumerate(ResourceServer.objects.all()):
        server.name = f"{PAYLOAD}{number}"
        server.save()
    town.things["server"] = ResourceServer.objects.create(identifier=PAYLOAD, name=PAYLOAD).pk
    # Scripts can store what the forms refuse
    ClientPolicy.objects.update(
        home_page="javascript:x-mark()", privacy_page=f"https://evil.example/{PAYLOAD}"
    )
    descriptions = dict.fromkeys(toolkit.all_scopes(), PAYLOAD)
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": descriptions}
    for role, user in town.users.items():
        if user is not None:
            type(user).objects.filter(pk=user.pk).update(
                username=f"{role}{PAYLOAD}", first_name=PAYLOAD, last_name=PAYLOAD, email=PAYLOAD
            )
    Delegation.objects.filter(pk=ended.pk).update(
        revoked_at=ended.issued_at, revoked_by=PAYLOAD, revocation_reason=PAYLOAD
    )
    ConsentRecord.objects.update(client_name=PAYLOAD, user_agent=PAYLOAD)
    about = {"delegation": town.chain.rows[0], "reason": PAYLOAD, "details": {PAYLOAD: [PAYLOAD]}}
    audit.record(REQUEST_REFUSED, audit.RequestContext(actor=PAYLOAD, request_id="x-mark"), **about)
    town.things["event"] = AuditEvent.objects.order_by("pk").last().pk
    return town


QUERIES = ("state", "scope", "client_id", "q", "app", "show", "user_code", "error", "next", "o")


def test_text_when_somebody_chose_it(hostile):
    wrong, shown = [], 0
    for line, address in hostile.addresses():
        role, mark = visitor_of(line), "&" if "?" in address else "?"
        with site_map.undone():
            answers = [
                hostile.get(role, address),
                hostile.get(role, f"{address}{mark}{urlencode(dict.fromkeys(QUERIES, PAYLOAD))}"),
                hostile.post(role, address, **dict.fromkeys((*QUERIES, "reason", "name"), PAYLOAD)),
            ]
        for answer in filter(is_page, answers):
            text = answer.content.decode()
            shown += "&lt;x-mark" in text
            wrong += [f"{address}: {found}" for found in Marks(text).found]
    assert not wrong, "\n".join(wrong)
    assert shown > 40


ODD = (
    "%00", "a%00b", "%ED%A0%80", "%FF", "9" * 30, "-1", "x" * 3000, "%0d%0aX-Evil:%201", "%D9%A3",
)  # fmt: skip


def test_address_when_a_part_of_it_is_odd(town):
    wrong = []
    for line, address in town.addresses():
        values = [str(town.things[one]) for one in line.of if not one.startswith("?")]
        if not values or "*" in line.name or f"/{values[-1]}" not in address:
            continue
        for odd in ODD:
            before, _, after = address.rpartition(f"/{values[-1]}")
            with site_map.undone():
                for method in (town.get, town.post):
                    answer = method(visitor_of(line), f"{before}/{odd}{after}")
                    if answer.status_code >= 500 or "X-Evil" in answer:
                        wrong.append(f"{answer.status_code} {before}/{odd[:20]}{after}")
    assert not wrong, "\n".join(wrong)


AWAY = (
    "https://evil.example/", "//evil.example", "/\\evil.example", "\thttps://evil.example",
    "javascript:x",
)  # fmt: skip


@pytest.mark.conformance("AZ-20")
def test_next_when_it_leads_away(town):
    for away in AWAY:
        for name in ("login", "admin:login"):
            for method in (town.get, town.post):
                fields = {} if method == town.get else {"next": away}
                for role, more in (("superuser", fields), ("nobody", fields | _good(fields))):
                    with site_map.undone():
                        answer = method(role, f"{reverse(name)}?next={away}", **more)
                    assert "evil" not in answer.get("Location", ""), (name, away)
                    assert "javascript" not in answer.get("Location", "")
                    assert f'href="{away}'.encode() not in answer.content


BACK = ("next", "back", "return_to", "_changelist_filters", "redirect_uri", "referer")
LEADS = re.compile(r"""(?:href|action|formaction|src)=["']([^"']*)["']""")


def leads_away(answer):
    """Where an answer leads that somebody put into its address or its form."""
    found = [answer.get("Location", "")]
    if is_page(answer):
        found += map(html.unescape, LEADS.findall(answer.content.decode()))
    return [one for one in found if one.strip().startswith(tuple(a.strip() for a in AWAY))]


def test_way_back_when_somebody_else_names_it(town):
    named = dict(zip(BACK, itertools.cycle(AWAY), strict=False))
    wrong = []
    for line, address in town.addresses():
        role, mark = visitor_of(line), "&" if "?" in address else "?"
        poisoned = f"{address}{mark}{urlencode(named)}"
        with site_map.undone():
            for answer in (town.get(role, poisoned), town.post(role, poisoned, **named)):
                wrong += [f"{address}: {away}" for away in leads_away(answer)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("field", ["home_page", "privacy_page"])
def test_address_of_an_app_when_it_is_no_https(town, field):
    url = reverse("admin:oauth2_provider_application_change", args=[town.things["holder"]])
    form = town.browser("superuser").get(url).context["inline_admin_formsets"][0].formset.forms[0]
    others = ("data:text/html,x", "http://evil.example/", "https://u@evil.example/")
    for away in (*AWAY[1:3], AWAY[4], *others):
        bound = type(form)({**form.initial, field: away}, instance=form.instance)
        assert field in bound.errors, away
    assert field not in type(form)({field: AWAY[0]}, instance=form.instance).errors


def _good(fields):
    return {"username": "alice", "password": "correct horse battery staple"} if fields else {}


# Cookies that no database can look up: the site answers as if they had not been sent
COOKIES = (
    'sessionid="a\\000bcdefgh0123456789012345678901"', 'sessionid="\\000"; csrftoken=x',
    'csrftoken="\\000"', 'delegation_browser="\\000"', 'messages="\\000"',
)  # fmt: skip


@pytest.fixture
def addresses(world):
    """One address of each line of the permission table, admin and sign-in pages among them."""
    town = site_map.Town(world)
    return sorted({line.name: address for line, address in town.addresses()}.values())


@pytest.mark.parametrize("cookie", COOKIES)
def test_cookie_when_it_cannot_be_stored(addresses, cookie):
    for address in addresses:
        with each(address), site_map.undone():
            client = SecureClient(raise_request_exception=False)
            answers = [client.get(address, HTTP_COOKIE=cookie), SecureClient().get(address)]
            assert len({site_map.told(answer) for answer in answers}) == 1


def test_middleware_when_a_cookie_has_a_nul():
    request = RequestFactory().get(
        "/", HTTP_COOKIE='sessionid="a\\000b"; csrftoken=x; other="\\000"'
    )
    StorableCookiesMiddleware(lambda _request: HttpResponse()).process_request(request)
    assert request.COOKIES == {"csrftoken": "x"}
