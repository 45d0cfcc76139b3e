"""Consents to what is risky, which an operator has to confirm where the policy says so."""

import pytest
from django.contrib.auth import get_user_model

from delegation_app.models import AuditEvent, ConsentRecord, Delegation
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.consent import approval
from delegation_app.services.consent.approval import NothingToApprove, OwnConsent
from tests.support.connections import send, shown
from tests.support.world import Story, redirected

ALL = "read:metrics delete:alerts"
OPERATOR = audit.RequestContext(actor="user:4711")


@pytest.fixture
def story(world, settings):
    """A world in which deleting is a high risk that somebody else has to confirm."""
    settings.DELEGATION = {**settings.DELEGATION, "SCOPE_RISKS": {"delete:alerts": "high"}}
    for app in (world.web, world.mobile, world.tv):
        app.change(scopes=f"{ALL} write:alerts", confirm_risky=True)
    return Story(world, world.alice)


def waiting(story, app=None, **changes):
    """Alice allows all of it; return the page that she gets, and the record."""
    page = story.answer(story.authorize(app, scope=ALL), scopes=ALL.split(), **changes)
    return page, ConsentRecord.objects.latest("pk")


def events():
    return list(AuditEvent.objects.order_by("id").values_list("event", flat=True))


def test_consent_when_risky(story):
    page, record = waiting(story)
    assert page.status_code == 200
    html = page.content.decode()
    assert "Pending approval by an operator" in html
    back = html.split('class="actions"><a href="')[1].split('"')[0].replace("&amp;", "&")
    page.status_code, page["Location"] = 303, back
    answer = redirected(page)
    assert (answer["error"], answer["state"]) == ("access_denied", "af0ifjsldkj")
    assert answer["iss"]
    assert "operator" in answer["error_description"]
    assert record.confirmation == "pending"
    assert not Delegation.objects.exists()
    assert events() == ["consent.granted"]


def test_consent_when_nothing_risky_is_ticked(story):
    page = story.authorize(scope=ALL)
    assert "an operator has to approve your answer first" in page.content.decode()
    assert "code" in redirected(story.answer(page, scopes=["read:metrics"]))


def test_app_when_it_asks_again_meanwhile(story):
    waiting(story)
    page = story.authorize(scope=ALL)
    assert "Pending approval by an operator" in page.content.decode()
    assert redirected(story.authorize(scope=ALL, prompt="none"))["error"] == "consent_required"
    # What is not risky is another question
    assert b'name="decision"' in story.authorize(scope="write:alerts").content
    assert ConsentRecord.objects.count() == 1


def test_consent_when_confirmed(story):
    _page, record = waiting(story)
    approval.approve(record, OPERATOR, reason="asked her")
    assert not Delegation.objects.exists()
    tokens = story.tokens(scope=ALL)
    assert tokens["scope"] == "delete:alerts read:metrics"
    assert Delegation.objects.get().consent == record
    assert events()[:2] == ["consent.granted", "consent.confirmed"]
    event = AuditEvent.objects.get(event="consent.confirmed")
    assert (event.actor, event.reason, event.consent) == ("user:4711", "asked her", record)


def test_public_client_when_confirmed(story, clock):
    app = story.world.mobile
    _page, record = waiting(story, app, lifetime="86400")
    approval.approve(record, OPERATOR, reason="fine")
    page = story.authorize(app, scope=ALL)
    assert "This answer does not last longer." in page.content.decode()
    assert "code" in redirected(story.answer(page, scopes=ALL.split(), lifetime="2592000"))
    # Nobody makes more of a confirmation than was confirmed
    assert Delegation.objects.get().expires_at == record.chosen_expiry
    approval.withdraw(record, OPERATOR, reason="over")
    assert b"awaiting approval" in waiting(story, app)[0].content


def test_second_question_when_what_is_held_is_risky(story):
    _page, record = waiting(story, lifetime="86400")
    approval.approve(record, OPERATOR, reason="for a day")
    page = story.authorize(scope=f"{ALL} write:alerts")
    assert "This answer does not last longer." in page.content.decode()
    assert "code" in redirected(story.answer(page, scopes=["write:alerts"], lifetime=""))
    delegation = Delegation.objects.get()
    assert str(delegation.scopes) == "delete:alerts read:metrics write:alerts"
    assert delegation.expires_at == record.chosen_expiry


def test_consent_when_refused(story):
    _page, record = waiting(story)
    approval.reject(record, OPERATOR, reason="no need")
    assert b'name="decision"' in story.authorize(scope=ALL).content
    with pytest.raises(NothingToApprove):
        approval.approve(record, OPERATOR, reason="after all")
    assert events() == ["consent.granted", "consent.confirmation_refused"]


def test_confirmation_when_it_is_ones_own(story):
    _page, record = waiting(story)
    own = audit.RequestContext(actor=record.subject)
    for decide in (approval.approve, approval.reject):
        with pytest.raises(OwnConsent):
            decide(record, own, reason="me")
    record.refresh_from_db()
    assert (record.confirmation, events()) == ("pending", ["consent.granted"])


def test_confirmation_when_withdrawn_or_over(story, clock):
    _page, first = waiting(story)
    approval.withdraw(first, OPERATOR, reason="x")
    _page, second = waiting(story, lifetime="3600")
    clock.forward(seconds=3601)
    for record in (first, second):
        with pytest.raises(NothingToApprove):
            approval.approve(record, OPERATOR, reason="late")
    assert not Delegation.objects.exists()


def test_connections_when_something_waits(story):
    _page, record = waiting(story)
    html = story.browser.get("/connections/").content.decode()
    assert "Pending approval" in html
    assert "Until then the app has no access from it." in html
    approval.approve(record, OPERATOR, reason="secret note of operators")
    html = story.browser.get("/connections/").content.decode()
    assert "Start again in the app." in html
    assert "secret note" not in html
    story.tokens(scope=ALL)
    assert "Pending approval" not in story.browser.get("/connections/").content.decode()
    bob = Story(story.world, story.world.bob)
    assert "Pending approval" not in bob.browser.get("/connections/").content.decode()


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_app_when_its_answer_waits_or_opened_nothing_yet(story, is_confirmed):
    _page, record = waiting(story)
    if is_confirmed:
        approval.approve(record, OPERATOR, reason="fine")
    address = "/connections/end?app=web"
    assert f'href="{address}"' in shown(story, "/connections/")
    assert "End all connections of" in shown(story, address)

    send(story, address, app="web")

    record.refresh_from_db()
    assert record.withdrawn_at is not None
    assert "Pending approval" not in shown(story, "/connections/")
    assert "code" not in redirected(story.authorize(scope=ALL, prompt="none"))
    # There is nothing left to take back
    shown(story, address, status=404)


def test_app_when_only_another_users_answer_waits(story):
    waiting(story)
    bob = Story(story.world, story.world.bob)
    shown(bob, "/connections/end?app=web", status=404)
    assert ConsentRecord.objects.get().withdrawn_at is None


# Devices


def connected(story):
    started = story.start(scope=ALL).json()
    done = story.connect(story.enter(started["user_code"]), scopes=ALL.split())
    assert "Pending approval by an operator" in done.content.decode()
    return started, ConsentRecord.objects.latest("pk")


def test_device_when_its_consent_waits(story):
    started, record = connected(story)
    assert story.poll(started["device_code"]).json()["error"] == "authorization_pending"
    # Nobody answers it a second time
    assert "wrong or has expired" in story.enter(started["user_code"]).content.decode()
    approval.approve(record, OPERATOR, reason="fine")
    tokens = story.poll(started["device_code"]).json()
    assert tokens["scope"] == "delete:alerts read:metrics"
    delegation = Delegation.objects.get()
    assert (delegation.consent, delegation.principal_user) == (record, story.world.alice)
    assert delegation.auth_time == record.auth_time
    assert delegation.scopes == Scope(ALL.split())


@pytest.mark.parametrize("how", ["refused", "withdrawn"])
def test_device_when_its_consent_is_not_confirmed(story, how):
    started, record = connected(story)
    if how == "refused":
        approval.reject(record, OPERATOR, reason="no")
    else:
        approval.withdraw(record, OPERATOR, reason="no")
    assert story.poll(started["device_code"]).json()["error"] == "access_denied"


def test_device_when_confirmed_too_late(story, clock):
    started, record = connected(story)
    clock.forward(seconds=601)
    approval.approve(record, OPERATOR, reason="sorry")
    assert story.poll(started["device_code"]).json()["error"] == "expired_token"
    story.browser.force_login(get_user_model().objects.get(pk=story.world.alice.pk))
    again = story.start(scope=ALL).json()
    done = story.connect(story.enter(again["user_code"]), scopes=ALL.split())
    assert "The device is connected" in done.content.decode()
