"""Consent: what a person is shown, what their answer makes, and when they are asked again."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from django.utils.formats import date_format

from delegation_app import toolkit
from delegation_app.models import AuditEvent, AuthorizationCode, ConsentRecord, Delegation
from delegation_app.services import audit
from delegation_app.services.consent import approval
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of, redirected


def events():
    return list(AuditEvent.objects.order_by("id").values_list("event", flat=True))


def is_asked(response):
    """Whether the person got the consent page."""
    if response.status_code == 303:
        assert "code" in redirected(response)
        return False
    assert response.status_code == 200
    assert b'name="decision"' in response.content
    return True


# The page


@pytest.mark.conformance("AZ-23")
def test_page_when_shown_then_it_names_everything_that_is_at_stake(story):
    page = story.authorize(resource=[SERVICE_A, SERVICE_B])
    html = page.content.decode()
    story.answer(page)
    until = ConsentRecord.objects.get().chosen_expiry
    for part in (
        "<strong>Web</strong>", "<strong>alice</strong>", "Read metrics",
        "<code>read:metrics</code>", "<code>write:alerts</code>", f"<code>{SERVICE_A}</code>",
        f"<code>{SERVICE_B}</code>", "Service A", "Service B", date_format(until, "DATE_FORMAT"),
        "<strong>web.example.com</strong>",
    ):  # fmt: skip
        assert part in html
    assert "read:profile" not in html


@pytest.mark.conformance("AZ-23")
def test_page_when_delegation_never_ends(story, settings):
    settings.DELEGATION = {**settings.DELEGATION, "DELEGATION_LIFETIME": None}
    assert "you or an operator end it" in story.authorize().content.decode()
    delegation = delegation_of(story.tokens())
    assert delegation.expires_at is None


def test_page_when_shown_then_nothing_secret_or_changeable_is_in_its_form(story):
    html = story.authorize().content.decode()
    fields = set(re.findall(r'<(?:input|button)[^>]* name="([^"]+)"', html))
    assert fields == {"csrfmiddlewaretoken", "handle", "scopes", "decision"}


@pytest.mark.conformance("AZ-25")
def test_page_when_client_is_public(story):
    assert "Unverified app" in story.authorize(story.world.mobile).content.decode()
    assert "Unverified app" not in story.authorize().content.decode()


# The answer


@pytest.mark.conformance("AZ-23", "DG-01")
def test_answer_when_allowed(story):
    story.code(scopes=["read:metrics"])
    record, delegation, code = (
        ConsentRecord.objects.get(),
        Delegation.objects.get(),
        AuthorizationCode.objects.get(),
    )
    assert code.delegation == delegation
    assert delegation.consent == record
    assert (delegation.principal_user, delegation.delegate) == (
        story.world.alice,
        story.world.web.row,
    )
    assert str(delegation.scopes) == str(code.scope) == "read:metrics"
    assert str(delegation.audience) == SERVICE_A
    assert delegation.expires_at == record.chosen_expiry
    assert events() == ["consent.granted", "delegation.created", "code.issued"]


@pytest.mark.conformance("AZ-23", "AZ-17")
def test_answer_when_denied(story):
    answer = redirected(story.answer(story.authorize(), decision="deny"))
    assert answer["error"] == "access_denied"
    assert Delegation.objects.count() == AuthorizationCode.objects.count() == 0
    record = ConsentRecord.objects.get()
    assert record.decision == "denied"
    assert str(record.scopes_asked) == str(record.scopes_refused) == "read:metrics write:alerts"
    assert events() == ["consent.denied"]


def test_answer_when_allowed_with_every_scope_unticked(story):
    answer = redirected(story.answer(story.authorize(), scopes=[]))
    assert answer["error"] == "access_denied"
    assert Delegation.objects.count() == 0
    assert ConsentRecord.objects.get().decision == "denied"
    assert events() == ["consent.denied"]


@pytest.mark.conformance("AZ-24", "AZ-14")
def test_answer_when_scopes_are_unticked(story):
    tokens = story.tokens(scopes=["write:alerts"])
    assert tokens["scope"] == claims_of(tokens["access_token"])["scope"] == "write:alerts"
    assert str(delegation_of(tokens).scopes) == "write:alerts"
    wider = story.refresh(tokens["refresh_token"], scope="read:metrics write:alerts")
    assert wider.json()["error"] == "invalid_scope"


@pytest.mark.conformance("AZ-24")
@pytest.mark.parametrize(
    "scopes",
    [
        ["read:metrics", "read:profile"], ["delete:alerts"], ["read:metrics write:alerts"],
        ["read:metrics", "no:such"], ["read:metrics", '"'], ["READ:METRICS"],
    ],
)  # fmt: skip
def test_answer_when_it_names_a_scope_that_was_not_shown(story, scopes):
    response = story.answer(story.authorize(), scopes=scopes)
    assert response.status_code == 400
    assert "Location" not in response
    assert Delegation.objects.count() == ConsentRecord.objects.count() == 0
    assert events() == ["request.refused"]


@pytest.mark.conformance("DG-09")
def test_record_when_answered(story):
    page = story.authorize()
    story.browser.defaults["HTTP_USER_AGENT"] = "Browser/1 \x1b[31m"
    before = timezone.now()
    story.answer(page, scopes=["read:metrics"])
    record = ConsentRecord.objects.get()
    assert record.subject == f"user:{story.world.alice.pk}"
    assert (record.client_id_value, record.client_name) == ("web", "Web")
    assert record.redirect_host == "web.example.com"
    assert str(record.scopes_asked) == "read:metrics write:alerts"
    assert str(record.scopes_granted) == "read:metrics"
    assert str(record.scopes_refused) == "write:alerts"
    assert str(record.audience) == SERVICE_A
    assert (record.text_version, record.locale) == ("5", "en")
    assert record.chosen_expiry - record.decided_at == timedelta(days=90)
    assert before <= record.decided_at <= timezone.now()
    assert record.ip_address == "127.0.0.1"
    assert record.user_agent == "Browser/1 \ufffd[31m"
    assert record.withdrawn_at is None


@pytest.mark.conformance("DG-09")
def test_record_when_person_answers_again(story):
    story.answer(story.authorize(prompt="consent"), scopes=["read:metrics"])
    first = ConsentRecord.objects.values().get()
    story.answer(story.authorize(prompt="consent"))
    story.answer(story.authorize(prompt="consent"), decision="deny")
    assert ConsentRecord.objects.count() == 3
    assert ConsentRecord.objects.filter(pk=first["id"]).values().get() == first


# Asked again?


def test_confidential_client_when_consent_covers_the_request(story):
    story.tokens()
    assert not is_asked(story.authorize())
    assert not is_asked(story.authorize(scope="read:metrics"))
    assert ConsentRecord.objects.count() == 1
    # Each answer opens a delegation, and all of them stand on that one consent
    assert Delegation.objects.filter(consent=ConsentRecord.objects.get()).count() == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"scope": "read:metrics read:profile"},
        {"scope": None},
        {"resource": SERVICE_B},
        {"resource": [SERVICE_A, SERVICE_B]},
    ],
)
def test_request_when_it_wants_more_than_was_granted(story, changes):
    story.tokens()
    assert is_asked(story.authorize(**changes))


def test_consent_when_given_by_somebody_else_or_to_another_client(story):
    story.tokens()
    assert is_asked(story.authorize(story.world.other))
    story.browser.force_login(story.world.bob)
    assert is_asked(story.authorize())


def test_consent_when_withdrawn(story):
    tokens = story.tokens()
    record = ConsentRecord.objects.get()
    assert approval.withdraw(record, audit.RequestContext("user:1"), reason="gone off it") == 1
    assert not story.is_active(tokens["access_token"])
    assert is_asked(story.authorize())
    assert events()[-2:] == ["consent.withdrawn", "delegation.revoked"]
    # Again: nothing more to end, nothing more to tell
    assert approval.withdraw(record, audit.RequestContext("user:1"), reason="again") == 0
    assert events().count("consent.withdrawn") == 1


# Trusted clients and prompt=consent


@pytest.fixture
def trusting(story):
    """The same world, with web trusted."""
    toolkit.application_model().objects.filter(client_id="web").update(skip_authorization=True)
    return story


def test_trusted_client_when_it_asks(trusting):
    assert not is_asked(trusting.authorize())
    record = ConsentRecord.objects.get()
    assert (record.decision, record.text_version) == ("trusted", "")
    assert Delegation.objects.get().consent == record
    assert events() == ["consent.skipped", "delegation.created", "code.issued"]


def test_trusted_client_when_it_wants_the_question(trusting):
    page = trusting.authorize(prompt="consent")
    assert is_asked(page)
    trusting.answer(page)
    assert ConsentRecord.objects.get().decision == "granted"


@pytest.mark.conformance("AZ-16")
@pytest.mark.parametrize("uri", ["http://127.0.0.1:4711/callback", "http://127.0.0.1/callback"])
def test_public_client_when_it_is_marked_as_trusted(story, world, uri):
    toolkit.application_model().objects.filter(client_id="mobile").update(skip_authorization=True)
    silent = redirected(story.authorize(world.mobile, redirect_uri=uri, prompt="none"))
    assert silent["error"] == "consent_required"
    page = story.authorize(world.mobile, redirect_uri=uri)
    assert is_asked(page)
    assert "code" in redirected(story.answer(page))
    # Not even once they have said yes
    again = redirected(story.authorize(world.mobile, redirect_uri=uri, prompt="none"))
    assert again["error"] == "consent_required"
    assert [one.decision for one in ConsentRecord.objects.all()] == ["granted"]


def test_trust_when_taken_away(trusting):
    assert not is_asked(trusting.authorize())
    toolkit.application_model().objects.filter(client_id="web").update(skip_authorization=False)
    assert is_asked(trusting.authorize())


# Between the page and the answer


def test_answer_when_redirect_uri_was_unregistered_meanwhile(story):
    page = story.authorize()
    toolkit.application_model().objects.filter(client_id="web").update(
        redirect_uris="https://web.example.com/new"
    )
    for decision in ("allow", "deny"):
        response = story.answer(page, decision=decision)
        assert response.status_code == 400
        assert "Location" not in response
    assert Delegation.objects.count() == 0


@pytest.mark.parametrize("decision", ["allow", "deny"])
def test_answer_when_many_pages_are_open(story, decision):
    pages = [story.authorize(state=f"s{number}", prompt="consent") for number in range(8)]
    states = [redirected(story.answer(page, decision=decision))["state"] for page in pages]
    assert states == [f"s{number}" for number in range(8)]


def test_answer_when_too_many_pages_are_open(story):
    pages = [story.authorize(state=f"s{number}") for number in range(9)]
    assert story.answer(pages[0]).status_code == 400
    assert redirected(story.answer(pages[1]))["state"] == "s1"


def test_consent_when_withdrawn_after_it_was_looked_at(story, monkeypatch):
    story.tokens()
    approval.withdraw(
        ConsentRecord.objects.get(), audit.RequestContext(), reason="changed her mind"
    )
    # As the request saw it that runs beside the withdrawal
    monkeypatch.setattr("delegation_app.services.consent.history.requires_prompt", lambda *_: False)
    monkeypatch.setattr("delegation_app.services.consent.history.PreviousAnswers.covering", None)
    response = story.authorize()
    assert response.status_code == 400
    assert "withdrawn just now" in response.content.decode()
    assert not Delegation.objects.live().exists()


def test_answer_when_client_was_disabled_meanwhile(story):
    page = story.authorize()
    story.world.web.change(enabled=False)
    response = story.answer(page)
    assert (response.status_code, Delegation.objects.count()) == (400, 0)
