"""Attacks on the device page (SECURITY.md B17, RFC 8628 section 5)."""

import pytest

from delegation_app.models import AuditEvent, ConsentRecord, Delegation, DeviceCode
from tests.support.world import Story, filled_in


def nothing_was_granted():
    return not (Delegation.objects.exists() or ConsentRecord.objects.exists())


@pytest.mark.conformance("DV-11")
def test_answer_when_another_person_signed_in_meanwhile_then_refused(story, world):
    page = story.enter(story.start().json()["user_code"])
    story.browser.force_login(world.bob)
    # The same browser: what was shown to alice is hers to answer
    refused = story.connect(page)
    assert refused.status_code == 400
    assert 'href="/oauth/device"' in refused.content.decode()
    assert nothing_was_granted()


def test_answer_when_the_handle_is_another_persons_then_refused(story, world):
    page = story.enter(story.start().json()["user_code"])
    bob = Story(world, world.bob)
    assert bob.device(filled_in(page)).status_code == 400
    assert nothing_was_granted()
    assert story.connect(page).status_code == 200
    assert Delegation.objects.get().principal_user == world.alice


def test_answer_when_it_names_another_code_person_or_scope_then_what_was_shown_wins(story, world):
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


def test_answer_when_a_handle_of_one_page_is_sent_to_the_other_then_refused(story):
    question = story.enter(story.start().json()["user_code"])
    consent = story.authorize()
    assert story.device(filled_in(consent)).status_code == 400
    assert story.answer(question).status_code == 400
    assert nothing_was_granted()


@pytest.mark.conformance("DV-10")
def test_address_when_it_carries_an_answer_then_it_is_a_question_all_the_same(story):
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


@pytest.mark.parametrize(
    "policy", [{"enabled": False}, {"grants": ["refresh_token"]}, {"scopes": "read:profile"}]
)
@pytest.mark.parametrize("shown", [False, True])
def test_policy_when_it_forbids_the_client_after_it_asked_then_nobody_can_allow_it(
    story, world, policy, shown
):
    started = story.start().json()
    page = story.enter(started["user_code"]) if shown else None
    world.tv.change(**policy)
    response = story.connect(page) if shown else story.enter(started["user_code"])
    assert response.status_code == 400
    assert nothing_was_granted()
    world.tv.change(enabled=True)
    assert "access_token" not in story.poll(started["device_code"]).json()


def test_policy_when_the_grant_is_taken_after_the_approval_then_no_tokens(story, world):
    code = story.approved()
    world.tv.change(grants=["refresh_token"])
    assert story.poll(code).json()["error"] == "unauthorized_client"


def test_person_when_deactivated_between_page_and_answer_then_nothing_is_granted(story, world):
    page = story.enter(story.start().json()["user_code"])
    world.alice.is_active = False
    world.alice.save()
    assert story.connect(page).status_code == 302
    assert nothing_was_granted()


def test_markup_when_it_is_the_clients_name_or_the_typed_code_then_it_is_text(story, world):
    world.tv.row.name = "<script>alert(1)</script>"
    world.tv.row.save()
    question = story.enter(story.start().json()["user_code"])
    for page in (question, story.connect(question), story.enter("<script>alert(1)</script>")):
        assert b"<script" not in page.content
    assert not AuditEvent.objects.filter(details__icontains="alert(1)").exists()
