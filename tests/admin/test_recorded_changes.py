"""What the trail says of a change: each field as it was and as it is, and never a secret."""

import json

import pytest

from delegation_app import toolkit
from delegation_app.models import AuditEvent, ResourceServer
from delegation_app.protocol import names
from delegation_app.services.clients import logos
from example_project.demo.world import LOGO
from tests.admin.conftest import events, page, text_of
from tests.admin.test_clients import filled_in
from tests.admin.test_policy import LIMITS, PREFIX, save, url_of
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C

ADD = "/admin/oauth2_provider/application/add/"


def recorded(name="client.changed"):
    [event] = events(name)
    return event.details


def server_url(server, name="change"):
    return page("resourceserver", name, server.pk)


@pytest.mark.parametrize(
    ("field", "sent", "values"),
    [
        ("scopes", "read:metrics", ("read:metrics read:profile write:alerts", "read:metrics")),
        (
            "grants",
            [names.AUTHORIZATION_CODE],
            ([names.AUTHORIZATION_CODE, names.REFRESH_TOKEN], [names.AUTHORIZATION_CODE]),
        ),
        ("constraints", json.dumps(LIMITS), ([], LIMITS)),
        ("confirm_risky", "on", (False, True)),
        ("access_token_lifetime", "120", (None, 120)),
        ("home_page", "https://web.example.com/", ("", "https://web.example.com/")),
        ("may_act", "service-a", ("", "service-a")),
    ],
)
def test_policy_when_a_field_changes_then_both_values_are_recorded(
    world, operator, field, sent, values
):
    before, after = values
    assert save(operator, world.web, **{field: sent}).status_code == 302
    assert recorded() == {
        "change": "changed",
        "fields": [f"clientpolicy.{field}"],
        "before": {f"clientpolicy.{field}": before},
        "after": {f"clientpolicy.{field}": after},
    }


def test_policy_when_audiences_change_then_they_are_recorded_by_identifier(world, operator):
    keys = [world.service_b.pk, world.service_c.pk]
    changes = {"audiences": keys, "default_audience": world.service_c.pk}
    assert save(operator, world.web, **changes).status_code == 302
    details = recorded()
    assert details["before"] == {
        "clientpolicy.audiences": [SERVICE_A, SERVICE_B],
        "clientpolicy.default_audience": SERVICE_A,
    }
    assert details["after"] == {
        "clientpolicy.audiences": [SERVICE_B, SERVICE_C],
        "clientpolicy.default_audience": SERVICE_C,
    }


def test_policy_when_one_operator_turns_the_confirmation_off_and_on_then_both_are_on_record(
    world, operator
):
    world.web.change(confirm_risky=True)
    data = filled_in(operator, url_of(world.web))
    del data[f"{PREFIX}confirm_risky"]
    operator.post(url_of(world.web), data)
    save(operator, world.web, confirm_risky="on")
    values = [
        (event.details["before"], event.details["after"]) for event in events("client.changed")
    ]
    name = "clientpolicy.confirm_risky"
    assert values == [({name: True}, {name: False}), ({name: False}, {name: True})]


def test_application_when_it_changes_then_both_values_are_recorded_and_no_secret(world, operator):
    data = filled_in(operator, url_of(world.web)) | {
        "name": "Web 2",
        "redirect_uris": "https://web.example.com/other",
        "skip_authorization": "on",
        "client_secret": "another-secret-of-good-length",
    }
    assert operator.post(url_of(world.web), data).status_code == 302
    details = recorded()
    assert details["fields"] == ["client_secret", "name", "redirect_uris", "skip_authorization"]
    assert details["before"] == {
        "name": "Web",
        "redirect_uris": "https://web.example.com/callback",
        "skip_authorization": False,
    }
    assert details["after"] == {
        "name": "Web 2",
        "redirect_uris": "https://web.example.com/other",
        "skip_authorization": True,
    }
    world.web.row.refresh_from_db()
    assert world.web.row.client_secret not in json.dumps(details)
    assert "another-secret-of-good-length" not in json.dumps(details)


def test_application_when_added_and_deleted_then_its_values_are_recorded(world, operator):
    data = filled_in(operator, ADD) | {
        "name": "New",
        "client_id": "new",
        "client_secret": "a-new-secret-of-good-length",
        "client_type": "confidential",
        "authorization_grant_type": "client-credentials",
    }
    operator.post(ADD, data)
    row = toolkit.application_model().objects.get(client_id="new")
    operator.post(page("application", "delete", row.pk, app="oauth2_provider"), {"post": "yes"})
    added, deleted = (event.details for event in events("client.changed"))
    assert added["after"] == deleted["before"]
    assert "before" not in added
    assert "after" not in deleted
    assert added["after"]["client_id"] == "new"
    assert added["after"]["clientpolicy.grants"] == [names.CLIENT_CREDENTIALS]
    everything = json.dumps([added, deleted])
    assert "a-new-secret-of-good-length" not in everything
    assert row.client_secret not in everything


def test_applications_when_deleted_in_bulk_then_each_has_its_values(world, operator):
    keys = [world.web.row.pk, world.cron.row.pk]
    data = {"action": "delete_selected", "_selected_action": keys, "post": "yes"}
    operator.post("/admin/oauth2_provider/application/", data)
    found = {event.details["before"]["client_id"] for event in events("client.changed")}
    assert found == {"web", "cron"}


def test_logo_when_it_is_replaced_and_dropped_then_its_digest_is_recorded(world, operator):
    logos.put(world.web.policy, LOGO)
    digest = logos.address_of(world.web.policy)
    assert save(operator, world.web, logo_away="on").status_code == 302
    details = recorded()
    assert details["before"] == {"clientpolicy.logo": digest}
    assert details["after"] == {"clientpolicy.logo": ""}


def test_server_when_changed_then_both_values_are_recorded_and_introspectors_too(world, operator):
    data = filled_in(operator, server_url(world.service_b)) | {
        "scopes": "read:metrics",
        "token_format": "opaque",
        "introspectors": [world.web.row.pk],
    }
    assert operator.post(server_url(world.service_b), data).status_code == 302
    details = recorded("resource_server.changed")
    assert details["fields"] == ["introspectors", "scopes", "token_format"]
    assert details["before"] == {
        "introspectors": ["service-b"],
        "scopes": "read:metrics write:alerts",
        "token_format": "jwt",
    }
    assert details["after"] == {
        "introspectors": ["web"],
        "scopes": "read:metrics",
        "token_format": "opaque",
    }


def test_server_when_added_and_deleted_then_its_values_are_recorded(world, operator):
    sent = {
        "name": "D",
        "identifier": "https://d.example.com",
        "scopes": "read:metrics",
        "token_format": "jwt",
        "active": "on",
        "introspectors": [world.web.row.pk],
    }
    operator.post("/admin/delegation_app/resourceserver/add/", sent)
    row = ResourceServer.objects.get(name="D")
    operator.post(server_url(row, "delete"), {"post": "yes"})
    added, deleted = (event.details for event in events("resource_server.changed"))
    assert added["after"] == deleted["before"]
    assert added["after"] == {**sent, "active": True, "introspectors": ["web"]}


def test_trail_when_a_change_is_shown_then_each_value_is_readable(world, operator):
    values = {"scopes": "read:metrics", "confirm_risky": "on", "constraints": json.dumps(LIMITS)}
    save(operator, world.web, **values)
    [event] = events("client.changed")
    html = text_of(operator.get(page("auditevent", "change", event.pk)))
    assert "<dt>Scopes</dt><dd>read:metrics read:profile write:alerts → read:metrics</dd>" in html
    assert "<dt>High-risk scopes need approval</dt><dd>no → yes</dd>" in html
    assert (
        "nothing → It may be delegated onward at most once. At most 5 tokens in total.</dd>" in html
    )
    listed = text_of(operator.get(page("auditevent", "changelist")))
    assert "High-risk scopes need approval: no → yes" in listed


def test_trail_when_a_secret_or_an_older_version_has_no_values_then_its_name_is_shown(
    world, operator
):
    made = [
        {"change": "changed", "fields": ["client_secret"]},
        {"change": "changed", "fields": ["clientpolicy.scopes", 7], "before": "x", "after": None},
        {"change": "changed", "fields": "nonsense", "before": {"of_a_site": {"x": 1}}},
    ]
    rows = [
        AuditEvent.objects.create(event="client.changed", outcome="done", details=details)
        for details in made
    ]
    shown = [text_of(operator.get(page("auditevent", "change", row.pk))) for row in rows]
    assert "<dt>Client secret</dt><dd>changed</dd>" in shown[0]
    assert "<dt>Scopes</dt><dd>changed</dd>" in shown[1]
    assert "<dt>of_a_site</dt>" in shown[2]
    assert operator.get(page("auditevent", "changelist")).status_code == 200
