"""Each page of `every_page.py` once, light and dark, wide and narrow, with and without scripts."""

from urllib.parse import urlencode

import pytest
from django.utils import timezone

from delegation_app import toolkit
from delegation_app.models import AuditEvent, ConsentRecord, ResourceServer
from delegation_app.protocol.constraints import Constraints
from delegation_app.services import limits
from delegation_app.services.clients import logos
from delegation_app.services.delegations import bulk
from example_project.demo.world import LOGO
from tests.browser.every_page import PAGES
from tests.browser.look import AXE_SCRIPT, NARROW, Look
from tests.support import forest, require_or_skip
from tests.support.site_map import Town
from tests.support.world import claims_of

# One worker: the live server, its database and the browser are shared
pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.any_database]

# No place to break, as the worst names have none
LONG = ("Metrics for all that you ever measured, " + "Whatever" * 20)[:200]
ALL = "read:metrics write:alerts delete:alerts read:profile"
LIMITS = [
    {"type": "max_depth", "depth": 3},
    {"type": "ip_range", "networks": ["127.0.0.0/8", "2001:db8::/32"]},
]


@pytest.fixture
def town(site, settings, monkeypatch):
    risks = {"read:metrics": "low", "delete:alerts": "high"}
    more = {"SCOPE_RISKS": risks, "SECOND_OPERATOR": True}
    settings.DELEGATION = {**settings.DELEGATION, **more}
    # Revoking many at once gets no further than the page that tells how far it is
    monkeypatch.setattr(bulk, "SECONDS", 0)
    monkeypatch.setattr(limits, "MAX_BATCH", 1)
    for app in (site.world.web, site.world.mobile):
        app.change(
            scopes=ALL,
            confirm_risky=True,
            home_page="https://metrics.example.com/",
            privacy_page="https://metrics.example.com/privacy",
            constraints=Constraints.parse(LIMITS),
        )
    site.world.mobile.change(required_scopes="delete:alerts")
    logos.put(site.world.web.policy, LOGO)
    for app in site.world.apps.values():
        app.row.refresh_from_db()
    town = Town(site.world)
    forest.plant(town.bobs, 5, "more")
    town.things |= _consents(town) | _evidence(town)
    return town


def _consents(town):
    """A consent that waits for an operator, and what is asked at the pages around it."""
    story, world = town.story, town.world
    asks = {
        "?asks-more": story.authorize_parameters(scope="read:metrics read:profile"),
        "?asks-risky": story.authorize_parameters(world.mobile, scope=ALL),
        "?waits": story.authorize_parameters(scope=ALL),
    }
    story.answer(story.authorize(scope=ALL))
    pending = ConsentRecord.objects.get(confirmation="pending")
    found = {name: "?" + urlencode(parameters) for name, parameters in asks.items()}
    return {"pending": pending.pk, **found}


def _evidence(town):
    """Delegations of others, ids of tokens that are accepted and refused, and of a request."""
    answer = town.story.tokens(town.world.other)
    town.story.revoke(answer["refresh_token"], town.world.other)
    town.story.redeem("nothing that was ever issued")
    refusal = AuditEvent.objects.filter(event="request.refused").latest("pk")
    _root, child, _leaf = town.chain.rows
    now = timezone.localtime().replace(tzinfo=None).isoformat("T", "milliseconds")
    return {
        "alices-child": child.public_id,
        "change-event": AuditEvent.objects.get(event="change.proposed").pk,
        "bobs": town.bobs.public_id,
        "jti": claims_of(town.chain.tokens[0])["jti"],
        "jti-refused": claims_of(answer["access_token"])["jti"],
        "refusal": refusal.pk,
        "request": refusal.request_id,
        "?alice-now": "?" + urlencode({"person": "alice", "when": now}),
    }


def named_long(town):
    """Give clients and a service names as long as they may be."""
    toolkit.application_model().objects.update(name=LONG)
    ConsentRecord.objects.update(client_name=LONG)
    ResourceServer.objects.filter(pk=town.things["server"]).update(name="Service " + "A" * 200)


@pytest.mark.parametrize("role", sorted({one.role for one in PAGES}))
def test_pages_when_looked_at_in_every_way_then_all_can_read_and_use_them(
    chromium, site, town, role
):
    require_or_skip(AXE_SCRIPT, "axe-playwright-python is not installed")
    pages = [one for one in PAGES if one.role == role]
    cookies = town.cookies[role]
    looking = Look(chromium, site.url, role, cookies)
    for one in pages:
        looking.open(one, town.things)
        looking.in_every_way()
    looking.context.close()
    named_long(town)
    plain = Look(chromium, site.url, role, cookies, viewport=NARROW, java_script_enabled=False)
    for one in pages:
        plain.open(one, town.things)
        if not plain.page.locator("h1, h2, form").first.is_visible():
            plain.blame("shows nothing without scripts")
        plain.fits("long names")
        if plain.shows(LONG[:40]):
            plain.picture("long")
    plain.context.close()
    wrong = looking.wrong + plain.wrong
    assert not wrong, "\n".join(wrong)
