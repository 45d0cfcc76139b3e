import pytest

from delegation_app import events
from delegation_app.models import AuditEvent
from tests.admin.conftest import page
from tests.support.world import claims_of, delegation_of

LIST = "/admin/delegation_app/auditevent/"


def text_of(response):
    return " ".join(response.content.decode().split())


def listed(client, **query):
    return [event.event for event in client.get(LIST, query).context["cl"].result_list]


def test_list_when_opened_then_newest_is_first_and_people_have_names(story, auditor):
    story.tokens()
    response = auditor.get(LIST)
    shown = [event.pk for event in response.context["cl"].result_list]
    assert shown == list(AuditEvent.objects.order_by("-pk").values_list("pk", flat=True))
    assert f"alice (user:{story.world.alice.pk})" in text_of(response)


def test_filter_when_listed_then_it_has_the_label_of_every_event(story, auditor):
    html = text_of(auditor.get(LIST))
    for event in events.REGISTRY.values():
        assert f"?event={event.name}" in html
        assert str(event.label) in html


def test_list_when_filtered_then_the_others_are_gone(story, auditor):
    story.tokens()
    story.redeem("wrong")
    assert listed(auditor, event="token.issued") == ["token.issued"]
    assert listed(auditor, outcome__exact="refused") == ["request.refused"]


def test_list_when_searched_then_it_finds_exact_values(story, auditor):
    tokens = story.tokens()
    story.client_credentials()
    jti = claims_of(tokens["access_token"])["jti"]
    issued = AuditEvent.objects.get(jti=jti)
    assert listed(auditor, q=jti) == ["token.issued"]
    assert listed(auditor, q=jti[:-1]) == []
    assert listed(auditor, q=issued.request_id) == ["token.issued"]
    assert set(listed(auditor, q="cron")) == {"delegation.opened", "token.issued"}
    assert "consent.granted" in listed(auditor, q="alice")
    assert "delegation.opened" in listed(auditor, q=f"user:{story.world.alice.pk}")
    of_delegation = listed(auditor, q=str(delegation_of(tokens).public_id))
    trail = ["token.issued", "code.issued", "delegation.opened", "consent.granted"]
    assert of_delegation == trail


def test_detail_when_opened_then_details_are_indented_and_the_delegation_is_linked(story, auditor):
    delegation = delegation_of(story.tokens())
    event = AuditEvent.objects.get(event="delegation.opened")
    response = auditor.get(page("auditevent", "change", event.pk))
    assert "\n  &quot;scope&quot;: &quot;read:metrics write:alerts&quot;" in (
        response.content.decode()
    )
    assert page("delegation", "change", delegation.pk) in text_of(response)


def test_detail_when_details_have_markup_then_it_is_escaped(db, auditor):
    event = AuditEvent.objects.create(
        event="x.unknown",
        outcome="done",
        actor="<script>alert(1)</script>",
        details={"a": "<script>alert(1)</script>"},
    )
    for url in (LIST, page("auditevent", "change", event.pk)):
        assert "<script>alert" not in text_of(auditor.get(url))


@pytest.mark.parametrize("action", ["delete_selected", "revoke_selected"])
def test_action_when_posted_then_the_trail_is_as_it_was(story, operator, action):
    story.tokens()
    before = AuditEvent.objects.count()
    data = {"action": action, "_selected_action": [1], "post": "yes"}
    operator.post(LIST, data)
    assert AuditEvent.objects.count() == before
