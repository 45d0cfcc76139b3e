import pytest

from delegation_app import events
from delegation_app.models import AuditEvent
from tests.admin.conftest import Forest, page
from tests.support.world import claims_of, delegation_of

pytestmark = pytest.mark.compat

LIST = "/admin/delegation_app/auditevent/"


def text_of(response):
    return " ".join(response.content.decode().split())


def listed(client, **query):
    return [event.event for event in client.get(LIST, query).context["events"]]


def test_list_when_opened_then_newest_is_first_and_people_have_names(story, auditor):
    story.tokens()
    response = auditor.get(LIST)
    shown = [event.pk for event in response.context["events"]]
    assert shown == list(AuditEvent.objects.order_by("-pk").values_list("pk", flat=True))
    assert f"alice (user:{story.world.alice.pk})" in text_of(response)


def test_filter_when_listed_then_it_has_the_label_of_every_event(story, auditor):
    html = text_of(auditor.get(LIST))
    for event in events.REGISTRY.values():
        assert f'<option value="{event.name}">' in html
        assert str(event.label) in html


def test_list_when_filtered_then_the_others_are_gone(story, auditor):
    story.tokens()
    story.redeem("wrong")
    assert listed(auditor, event="token.issued") == ["token.issued"]
    assert listed(auditor, outcome="refused") == ["request.refused"]


def test_list_when_searched_then_it_finds_exact_values(story, auditor):
    tokens = story.tokens()
    story.client_credentials()
    jti = claims_of(tokens["access_token"])["jti"]
    issued = AuditEvent.objects.get(jti=jti)
    assert listed(auditor, q=jti) == ["token.issued"]
    assert listed(auditor, q=jti[:-1]) == []
    assert listed(auditor, q=issued.request_id) == ["token.issued"]
    assert set(listed(auditor, q="cron")) == {"delegation.created", "token.issued"}
    assert "consent.granted" in listed(auditor, q="alice")
    assert "delegation.created" in listed(auditor, q=f"user:{story.world.alice.pk}")
    of_delegation = listed(auditor, q=str(delegation_of(tokens).public_id))
    trail = ["token.issued", "code.issued", "delegation.created", "consent.granted"]
    assert of_delegation == trail


def test_detail_when_opened_then_details_are_indented_and_the_delegation_is_linked(story, auditor):
    delegation = delegation_of(story.tokens())
    event = AuditEvent.objects.get(event="delegation.created")
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


def detail(client, name):
    event = AuditEvent.objects.filter(event=name).latest("pk")
    response = client.get(page("auditevent", "change", event.pk))
    facts = {str(label): str(text) for label, text in response.context["facts"]}
    return facts, text_of(response)


def test_detail_when_it_was_handed_on_then_the_chain_is_linked(forest, auditor):
    facts, html = detail(auditor, "delegation.chained")
    assert facts["Scopes"] == "read:metrics write:alerts"
    assert facts["Audience"] == "https://service-c.example.com"
    for row, name in forest.named():
        assert f'<a href="{page("delegation", "change", row.pk)}">{name}</a>' in facts["Chain"]
    assert facts["Chain"] in html


@pytest.mark.parametrize("may_impersonate", [True, False])
def test_detail_when_it_was_exchanged_then_actors_and_token_are_named(
    story, auditor, may_impersonate
):
    story.world.service_b_client.change(may_impersonate=may_impersonate)
    forest = Forest(story)
    name = "token.impersonated" if may_impersonate else "token.exchanged"
    facts, html = detail(auditor, name)
    before = claims_of(forest.answers[1]["access_token"])["jti"]
    assert facts["Exchanged token"] == before
    expected = "Service-A" if may_impersonate else "Service-B, Service-A"
    assert facts["Actors, the current one first"] == expected
    assert forest.answers[2]["access_token"] not in html


def test_detail_when_it_was_narrowed_then_before_and_after_are_told(forest, operator):
    operator.post(
        page("delegation", "narrow", forest.middle.pk),
        {
            "scopes": ["read:metrics"],
            "constraints": '[{"type": "max_depth", "depth": 2}]',
            "reason": "too much",
        },
    )
    facts, _ = detail(operator, "delegation.narrowed")
    assert facts["Before"].startswith("read:metrics write:alerts at https://service-b.example.com")
    assert facts["After"].startswith("read:metrics at https://service-b.example.com")
    assert "It may be delegated onward at most 2 times in a row." in facts["After"]
    html = text_of(operator.get(page("delegation", "change", forest.middle.pk)))
    assert "Delegation narrowed" in html
    assert "too much: read:metrics write:alerts at" in html


def test_detail_when_it_was_revoked_then_it_says_how_many_ended(forest, operator):
    operator.post(page("delegation", "revoke", forest.middle.pk), {"reason": "odd"})
    facts, _ = detail(operator, "delegation.revoked")
    assert facts == {"Delegations revoked": "2"}
    assert "odd: 2 delegations revoked" in text_of(operator.get(LIST))


def test_evidence_when_it_was_handed_on_then_its_page_has_the_events(forest, auditor):
    html = text_of(auditor.get(page("delegation", "change", forest.leaf.pk)))
    for label in ("Child delegation created", "Token exchanged"):
        assert label in html
    assert "read:metrics write:alerts at https://service-c.example.com" in html


def test_list_when_exchanges_were_refused_then_they_can_be_found_with_their_reason(story, auditor):
    tokens = story.tokens()
    data = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": tokens["access_token"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": "nowhere",
    }
    refused = story.post("/oauth/exchange", data, story.world.service_a_client)
    assert refused.status_code == 400
    story.redeem("wrong")
    response = auditor.get(LIST, {"endpoint": "exchange"})
    [event] = response.context["events"]
    assert event.client_id_value == "service-a"
    # What the public description does not say stands in the trail
    assert "invalid_target: nowhere is not among its active audiences: " in text_of(response)
    assert listed(auditor, endpoint="token") == ["request.refused"]
    assert auditor.get(LIST, {"endpoint": "made-up"}).status_code == 400
    facts, _ = detail(auditor, "request.refused")
    assert facts["Endpoint"] == "/oauth/token"


@pytest.mark.parametrize(
    "details",
    [
        {"chain": "x", "actors": "y", "scope": 1, "audience": 2, "constraints": 3},
        {"chain": [1, None, "x"], "actors": [1, {}], "constraints": [{"type": "gone"}]},
        {"before": None, "after": 1, "ended": "x", "delegations": "many", "fields": 1},
        {"before": {"audience": 1, "constraints": 1, "expires_at": 1}, "endpoint": []},
        {"detail": None, "grant_type": None, "delegations": True},
    ],
)
def test_detail_when_an_old_version_wrote_it_then_the_page_still_opens(forest, auditor, details):
    event = AuditEvent.objects.create(
        event="x.old", outcome="refused", delegation=forest.root, details=details
    )
    for url in (
        LIST,
        page("auditevent", "change", event.pk),
        page("delegation", "change", forest.root.pk),
    ):
        assert auditor.get(url).status_code == 200


@pytest.mark.parametrize("action", ["delete_selected", "revoke_selected"])
def test_action_when_posted_then_the_trail_is_as_it_was(story, operator, action):
    story.tokens()
    before = AuditEvent.objects.count()
    data = {"action": action, "_selected_action": [1], "post": "yes"}
    operator.post(LIST, data)
    assert AuditEvent.objects.count() == before
