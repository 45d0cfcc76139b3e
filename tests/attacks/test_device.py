"""Attacks on the device page (SECURITY.md B17, RFC 8628 section 5)."""

import pytest

from delegation_app.models import AuditEvent, ConsentRecord, Delegation, DeviceCode
from tests.support.answers import recorded, refusal_recorded
from tests.support.broken_database import failing
from tests.support.world import Story, filled_in


def nothing_was_granted():
    return not (Delegation.objects.exists() or ConsentRecord.objects.exists())


@pytest.mark.conformance("DV-11")
def test_answer_when_another_person_signed_in_meanwhile(story, world):
    page = story.enter(story.start().json()["user_code"])
    story.browser.force_login(world.bob)
    # The same browser: what was shown to alice is hers to answer
    refused = story.connect(page)
    assert refused.status_code == 400
    assert 'href="/oauth/device"' in refused.content.decode()
    assert nothing_was_granted()


def test_answer_when_the_handle_is_another_persons(story, world):
    page = story.enter(story.start().json()["user_code"])
    bob = Story(world, world.bob)
    assert bob.device(filled_in(page)).status_code == 400
    assert nothing_was_granted()
    assert story.connect(page).status_code == 200
    assert Delegation.objects.get().principal_user == world.alice


def test_answer_when_it_names_another_code_person_or_scope(story, world):
    shown, other = story.start().json(), story.start(scope="read:profile").json()
    page = story.enter(shown["user_code"])
    done = story.connect(
        page,
        user_code=other["user_code"],
        device_code=other["device_code"],
        key=DeviceCode.objects.latest("id").pk,
        client_id="web",
        user=world.bob.pk,
        scope="delete:alerts",
        audience="https://service-b.example.com",
        grant_type="authorization_code",
    )
    assert done.status_code == 200
    delegation = Delegation.objects.get()
    assert (delegation.principal_user, delegation.delegate_client_id) == (world.alice, "tv")
    assert str(delegation.scopes) == "read:metrics write:alerts"
    assert str(delegation.audience) == "https://service-a.example.com"
    assert story.poll(shown["device_code"]).status_code == 200
    assert story.poll(other["device_code"]).json()["error"] == "authorization_pending"


def test_answer_when_a_handle_of_one_page_is_sent_to_the_other(story):
    question = story.enter(story.start().json()["user_code"])
    consent = story.authorize()
    assert story.device(filled_in(consent)).status_code == 400
    assert story.answer(question).status_code == 400
    assert nothing_was_granted()


@pytest.mark.conformance("DV-10")
def test_address_when_it_carries_an_answer(story):
    started = story.start().json()
    handle = filled_in(story.enter(started["user_code"]))["handle"]
    for query in (
        {"user_code": started["user_code"], "decision": "allow"},
        {"handle": handle, "decision": "allow", "scopes": "read:metrics"},
        {"user_code": started["user_code"], "confirm": "1", "approve": "true"},
    ):
        assert b'name="decision"' not in story.browser.get("/oauth/device", query).content
    assert story.poll(started["device_code"]).json()["error"] == "authorization_pending"
    assert nothing_was_granted()


def test_person_when_deactivated_between_page_and_answer(story, world):
    page = story.enter(story.start().json()["user_code"])
    world.alice.is_active = False
    world.alice.save()
    assert story.connect(page).status_code == 302
    assert nothing_was_granted()


def test_markup_when_it_is_the_clients_name_or_the_typed_code(story, world):
    world.tv.row.name = "<script>alert(1)</script>"
    world.tv.row.save()
    question = story.enter(story.start().json()["user_code"])
    for page in (question, story.connect(question), story.enter("<script>alert(1)</script>")):
        assert b"<script" not in page.content
    assert not AuditEvent.objects.filter(details__icontains="alert(1)").exists()


# Guessed codes


def is_question(page):
    return page.status_code == 200 and b'name="decision"' in page.content


def is_code_form(page):
    return b'name="user_code"' in page.content and b'name="decision"' not in page.content


def test_code_when_wrong(story):
    with refusal_recorded("invalid_request", actor=f"user:{story.world.alice.pk}"):
        page = story.enter("BBBB-BBBB")
    assert page.status_code == 400
    assert is_code_form(page)
    assert 'role="alert"' in page.content.decode()


@pytest.mark.parametrize("how", ["expired", "answered", "disabled", "not allowed"])
def test_code_when_it_is_over(story, clock, how):
    code = story.start().json()["user_code"]
    if how == "expired":
        clock.forward(seconds=600)
    elif how == "answered":
        story.connect(story.enter(code))
    elif how == "disabled":
        story.world.tv.change(enabled=False)
    else:
        story.world.tv.change(grants=["refresh_token"])
    page = story.enter(code)
    assert (page.status_code, is_code_form(page)) == (400, True)


@pytest.mark.conformance("DV-08")
def test_codes_when_five_were_wrong(story):
    code = story.start().json()["user_code"]
    for typed in ("BBBB-BBBB", "", "AAAA-AAAA", "x" * 1000, "CCCC-CCCC"):
        assert story.enter(typed).status_code == 400
    with recorded():
        page = story.enter(code)
    assert page.status_code == 429
    assert 0 < int(page["Retry-After"]) <= 60
    # The same person elsewhere, and another person at the same address
    story.browser.defaults["REMOTE_ADDR"] = "192.0.2.7"
    assert story.enter(code).status_code == 429
    bob = Story(story.world, story.world.bob)
    assert bob.enter(code).status_code == 429
    bob.browser.defaults["REMOTE_ADDR"] = "192.0.2.8"
    assert is_question(bob.enter(code))


def test_codes_when_the_cache_is_down(story, settings):
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "x"}
    }
    assert is_question(story.enter(story.start().json()["user_code"]))
    assert story.enter("BBBB-BBBB").status_code == 400


def test_codes_when_the_database_fails(story):
    code = story.start().json()["user_code"]
    for _ in range(6):
        with failing():
            assert story.enter(code).status_code == 503
    assert is_question(story.enter(code))
