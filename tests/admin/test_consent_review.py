"""Consents in the console: as they were shown, what differs, and the queue to confirm."""

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from delegation_app.models import AuditEvent, ClientLogo, ConsentRecord
from delegation_app.services.clients import logos
from tests.admin.conftest import browser, events, page, text_of
from tests.admin.test_policy import inline_errors, save
from tests.support.world import Story

LIST = "/admin/delegation_app/consentrecord/"
ALL = ["read:metrics", "delete:alerts"]
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.fixture
def waiting(world, settings):
    """Alice's consent to something risky, which waits."""
    settings.DELEGATION = {**settings.DELEGATION, "SCOPE_RISKS": {"delete:alerts": "high"}}
    world.web.change(scopes=" ".join(ALL), confirm_risky=True)
    return given_by(world, world.alice)


def given_by(world, person):
    story = Story(world, person)
    story.answer(story.authorize(scope=" ".join(ALL)), scopes=ALL)
    return ConsentRecord.objects.latest("pk")


def address(name, record):
    return page("consentrecord", name, record.pk)


def test_queue_when_something_waits_then_the_list_leads_to_it(waiting, operator):
    html = text_of(operator.get(LIST))
    assert "Pending approval: 1" in html
    assert f"{LIST}?confirmation=pending" in html
    listed = operator.get(LIST, {"confirmation": "pending"}).context["cl"].result_list
    assert [row.pk for row in listed] == [waiting.pk]
    assert not operator.get(LIST, {"confirmation": "confirmed"}).context["cl"].result_list


@pytest.mark.parametrize(
    ("deed", "state", "event"),
    [
        ("confirm", "confirmed", "consent.confirmed"),
        ("refuse", "refused", "consent.confirmation_refused"),
    ],
)
def test_decision_when_made_then_it_is_recorded_with_who_and_why(
    waiting, operator, deed, state, event
):
    html = text_of(operator.get(address("change", waiting)))
    assert "The client has no access from it yet." in html
    assert address(deed, waiting) in html
    question = text_of(operator.get(address(deed, waiting)))
    assert "Delete alerts (delete:alerts)" in question
    assert "errorlist" in text_of(operator.post(address(deed, waiting), {"reason": ""}))
    done = operator.post(address(deed, waiting), {"reason": "asked her"}, follow=True)
    html = text_of(done)
    assert "asked her" in html
    assert address("confirm", waiting) not in html
    waiting.refresh_from_db()
    assert waiting.confirmation == state
    [told] = events(event)
    assert told.actor == waiting.confirmation_by == f"user:{operator.session['_auth_user_id']}"
    again = operator.post(address(deed, waiting), {"reason": "again"}, follow=True)
    assert "This consent is not pending approval." in text_of(again)
    assert len(events(event)) == 1


def test_decision_when_it_is_the_operators_own_consent_then_somebody_else_has_to(waiting, world):
    world.bob.is_staff = True
    world.bob.save()
    world.bob.user_permissions.set(
        Permission.objects.filter(content_type__app_label="delegation_app")
    )
    own = given_by(world, world.bob)
    bob = Story(world, world.bob).browser
    assert address("confirm", own) not in text_of(bob.get(address("change", own)))
    for deed in ("confirm", "refuse"):
        response = bob.post(address(deed, own), {"reason": "me"}, follow=True)
        assert "Another operator must approve" in text_of(response)
    own.refresh_from_db()
    assert own.confirmation == "pending"
    assert bob.post(address("confirm", waiting), {"reason": "hers"}).status_code == 302
    waiting.refresh_from_db()
    assert waiting.confirmation == "confirmed"


def test_decision_when_somebody_may_only_withdraw_then_no_button_and_403(
    waiting, django_user_model
):
    clerk = django_user_model.objects.create_user("clerk", is_staff=True)
    names = ["view_consentrecord", "withdraw_consentrecord"]
    clerk.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Story(None, clerk).browser
    html = text_of(client.get(address("change", waiting)))
    assert address("withdraw", waiting) in html
    assert address("confirm", waiting) not in html
    assert client.post(address("confirm", waiting), {"reason": "x"}).status_code == 403
    assert client.post(address("refuse", waiting), {"reason": "x"}).status_code == 403
    assert not AuditEvent.objects.filter(event__startswith="consent.confirm").exists()


def test_withdraw_when_it_still_waits_then_there_is_nothing_left_to_confirm(waiting, operator):
    operator.post(address("withdraw", waiting), {"reason": "she called"})
    assert not operator.get(LIST, {"confirmation": "pending"}).context["cl"].result_list
    operator.post(address("confirm", waiting), {"reason": "late"})
    assert not events("consent.confirmed")


def test_review_when_there_is_one_before_then_it_says_what_differs(story, auditor):
    story.tokens(scopes=["read:metrics"])
    first = ConsentRecord.objects.get()
    story.answer(story.authorize(scope="read:metrics write:alerts read:profile"))
    second = ConsentRecord.objects.latest("pk")
    html = text_of(auditor.get(address("change", second)))
    assert "Newly requested: read:profile" in html
    assert "Newly granted: read:profile, write:alerts" in html
    assert address("change", first) in html
    assert "granted before" in html
    assert "There is no previous decision." in text_of(auditor.get(address("change", first)))


def test_review_when_texts_have_changed_since_then_the_old_ones_are_shown(story, auditor, settings):
    story.tokens()
    scopes = {**settings.OAUTH2_PROVIDER["SCOPES"], "read:metrics": "Something harmless"}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": scopes}
    html = text_of(auditor.get(address("change", ConsentRecord.objects.get())))
    shown = html.split("As shown to the user")[1]
    assert "<bdi>Read metrics</bdi>" in shown
    assert "Something harmless" not in shown
    assert "If you allow this, you let" in shown


def test_review_when_nothing_was_shown_or_kept_then_it_says_so(story, auditor):
    story.tokens()
    ConsentRecord.objects.update(shown={}, text_version="1")
    html = text_of(auditor.get(address("change", ConsentRecord.objects.get())))
    assert "No page was shown, or its text was not stored." in html


# What a policy says about the page


def upload(data, name="logo.png"):
    return SimpleUploadedFile(name, data, content_type="image/png")


def test_policy_when_a_logo_is_uploaded_then_it_is_kept_shown_and_recorded(world, operator):
    response = save(
        operator,
        world.web,
        logo_file=upload(PNG),
        home_page="https://web.example.com/",
        required_scopes="read:metrics",
        confirm_risky="on",
    )
    assert response.status_code == 302, inline_errors(response)
    policy = world.web.policy
    assert (policy.home_page, str(policy.required_scopes)) == (
        "https://web.example.com/",
        "read:metrics",
    )
    assert policy.confirm_risky
    logo = ClientLogo.objects.get()
    assert (bytes(logo.data), logo.content_type) == (PNG, "image/png")
    assert "clientpolicy.logo" in events("client.changed")[0].details["fields"]
    url = page("application", "change", world.web.row.pk, app="oauth2_provider")
    for person in (operator, browser("auditor")):
        assert f"/oauth/logo/{logo.digest}" in text_of(person.get(url))
    save(operator, world.web, logo_away="on")
    assert not ClientLogo.objects.exists()


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"logo_file": upload(b"<svg xmlns='http://www.w3.org/2000/svg'/>")}, "logo_file"),
        ({"logo_file": upload(b"GIF89a" + b"\0" * 20)}, "logo_file"),
        ({"logo_file": upload(PNG + b"\0" * logos.LARGEST)}, "logo_file"),
        ({"home_page": "http://web.example.com/"}, "home_page"),
        ({"home_page": "javascript:alert(1)"}, "home_page"),
        ({"privacy_page": "https://user@web.example.com/"}, "privacy_page"),
        ({"required_scopes": "delete:alerts"}, "required_scopes"),
    ],
    ids=["svg", "gif", "large", "http", "script", "user", "scope"],
)
def test_policy_when_it_would_mislead_people_then_it_is_refused(world, operator, values, field):
    for value in values.values():
        if hasattr(value, "seek"):
            value.seek(0)
    response = save(operator, world.web, **values)
    assert response.status_code == 200
    assert list(inline_errors(response)) == [field]
    assert not ClientLogo.objects.exists()


def test_token_requests_when_a_client_has_a_logo_then_none_of_them_reads_it(
    story,
):
    logos.put(story.world.web.policy, PNG)
    code = story.code()
    with CaptureQueriesContext(connection) as captured:
        tokens = story.redeem(code).json()
        story.refresh(tokens["refresh_token"])
        assert story.is_active(tokens["access_token"])
    assert not [query for query in captured if "clientlogo" in query["sql"]]
