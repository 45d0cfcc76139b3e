"""A person looks at what apps may do for them."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from delegation_app.models import ConsentRecord, Delegation
from delegation_app.protocol.constraints import Constraints
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from tests.support.answers import never_stored, nothing_stored
from tests.support.chains import Chain
from tests.support.connections import ALL, LIST, apps_on, at, shown
from tests.support.world import FORM, Story, delegation_of

pytestmark = pytest.mark.compat


def test_list_when_apps_act(chain, story):
    page = shown(story, LIST)
    assert apps_on(page) == ["Web"]
    for text in ("Read metrics", "Create alerts", "Service A", "from 127.0.x.x", "to 2 other apps"):
        assert text in page
    assert "<dd>3</dd>" in page
    assert "127.0.0.1" not in page


def test_list_when_there_is_nothing(story):
    page = shown(story, LIST)
    assert "You have not connected any app." in page
    assert "End all connections" not in page


def test_list_when_others_have_connections(chain, story, world):
    bob = Story(world, world.bob)
    assert apps_on(shown(bob, LIST)) == []
    bob.tokens(world.other)
    assert apps_on(shown(bob, LIST)) == ["Other"]
    assert apps_on(shown(story, LIST)) == ["Web"]


def test_list_when_filtered(story, world, clock):
    story.tokens()
    old = delegation_of(story.tokens(world.mobile))
    Delegation.objects.filter(pk=old.pk).update(
        expires_at=None,
        issued_at=clock() - timedelta(days=200),
        last_used_at=clock() - timedelta(days=91),
    )
    story.revoke(story.tokens(world.other)["refresh_token"], world.other)
    assert apps_on(shown(story, LIST)) == ["Web", "Mobile"]
    assert apps_on(shown(story, f"{LIST}?show=unused")) == ["Mobile"]
    assert apps_on(shown(story, f"{LIST}?show=all")) == ["Other", "Web", "Mobile"]
    assert apps_on(shown(story, f"{LIST}?show=all&app=other")) == ["Other"]
    assert apps_on(shown(story, f"{LIST}?app=other")) == []
    assert apps_on(shown(story, f"{LIST}?app=nobody")) == []
    assert shown(story, f"{LIST}?show=some", 400)


def test_state_when_not_live(story, world, clock):
    story.tokens()
    world.web.change(enabled=False)
    assert apps_on(shown(story, LIST)) == []
    assert "disabled by this site" in shown(story, f"{LIST}?show=all")
    world.web.change(enabled=True)
    clock.forward(days=91)
    story.browser.force_login(world.alice)
    assert ">expired<" in shown(story, f"{LIST}?show=all")


def test_page_when_of_the_root(story, world):
    limits = [{"type": "max_depth", "depth": 3}]
    world.web.change(constraints=Constraints.parse(limits))
    chain = Chain(story, scopes=["read:metrics"])
    page = shown(story, at(chain.rows[0]))
    assert "acts for you at <strong>Service A</strong> until" in page
    assert ", within the limits below" in page
    for limit in chain.rows[0].constraints.describe():
        assert limit in page
    asked = page.split("Your decision", 1)[1].split("Apps with access")[0]
    assert asked.index("Allowed") < asked.index("Read metrics") < asked.index("Refused")
    assert asked.index("Refused") < asked.index("Create alerts")
    tree = page.split("Apps with access", 1)[1].split("History")[0]
    assert tree.index("Web") < tree.index("Service-A") < tree.index("Service-B")
    assert tree.count('aria-current="true"') == 1
    past = page.split("History", 1)[1]
    told = ["passed on to Service-B", "passed on to Service-A", "first token", "Web was connected"]
    positions = [past.index(text) for text in told]
    assert positions == sorted(positions)


def test_page_when_of_a_child(chain, story):
    page = shown(story, at(chain.rows[1]))
    assert "It was passed on by <strong>Web</strong>." in page
    assert f'href="{at(chain.rows[0])}"' in page
    assert "acts for you at <strong>Service B</strong>" in page
    assert "<dd>2" in page.split("Live tokens", 1)[1]
    assert "Web was connected" not in page


def test_page_when_the_site_trusts_the_app(story, world):
    row = world.web.row
    row.skip_authorization = True
    row.save()
    delegation = delegation_of(story.tokens())
    assert "This site trusts the app" in shown(story, at(delegation))
    assert "can connect again without asking you" not in shown(story, at(delegation, "end"))


def test_page_when_an_operator_ended_it(story, world):
    row = delegation_of(story.tokens())
    revocation.subtree(row, audit.RequestContext(f"user:{world.bob.pk}"), reason="ticket 4711")
    page = shown(story, at(row))
    assert "ended by an operator" in page
    assert "4711" not in page
    assert "bob" not in page


def test_page_when_tokens_were_stolen(story, clock):
    tokens = story.tokens()
    story.refresh(tokens["refresh_token"])
    clock.forward(seconds=60)
    story.refresh(tokens["refresh_token"])
    page = shown(story, at(delegation_of(tokens)))
    assert "ended by this site" in page
    assert "refresh token reused" in page


def test_page_when_the_app_was_deleted(story, world):
    row = delegation_of(story.tokens())
    world.web.row.delete()
    assert "<bdi>web</bdi>" in shown(story, at(row))
    assert apps_on(shown(story, f"{LIST}?show=all")) == ["web"]


@pytest.mark.parametrize("deed", ["", "end", "narrow"])
def test_pages_when_signed_out(chain, story, deed):
    story.browser.logout()
    for send in (story.browser.get, story.browser.post):
        answer = send(at(chain.rows[0], deed))
        if deed == "" and send == story.browser.post:
            assert answer.status_code == 405
            continue
        assert answer.status_code == 302
        never_stored(answer)
        target = urlsplit(answer["Location"])
        assert (target.netloc, target.path) == ("", "/accounts/login/")
        assert parse_qs(target.query) == {"next": [at(chain.rows[0], deed)]}


def test_pages_when_asked_with_other_methods(chain, story):
    both, get = "GET, POST", "GET"
    root = chain.rows[0]
    for address, allowed in (
        (LIST, get), (at(root), get), (ALL, both), (at(root, "end"), both),
        (at(root, "narrow"), both),
    ):  # fmt: skip
        for method in {"PUT", "DELETE", "PATCH", "OPTIONS", "POST"} - set(allowed.split(", ")):
            with nothing_stored():
                answer = story.browser.generic(method, address)
            assert (answer.status_code, answer["Allow"]) == (405, allowed)


def test_consent_page_when_it_asks(story):
    assert b'end this at any time under <a href="/connections/">' in story.authorize().content
    started = story.start().json()
    assert b'href="/connections/"' in story.enter(started["user_code"]).content
    assert not ConsentRecord.objects.exists()


def test_form_when_its_csrf_token_is_wrong(story, world, csrf_client, settings):
    row = delegation_of(story.tokens())
    settings.CSRF_FAILURE_VIEW = "tests.no.such.view"
    csrf_client.force_login(world.alice)
    for address in (at(row, "end"), at(row, "narrow"), ALL):
        page = csrf_client.post(address, "reason=x", content_type=FORM)
        assert page.status_code == 403
        html = page.content.decode()
        assert "<h1>Something went wrong</h1>" in html
        assert "did not come from this site" in html
        assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
        assert page["X-Request-Id"] in html
        never_stored(page)


def test_home_when_shown(client, db):
    assert b'href="/connections/"' in client.get("/").content
