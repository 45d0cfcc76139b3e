"""Changes that widen wait for a second operator, who approves or rejects them."""

import json

import pytest
from django.contrib.auth import get_user_model

from delegation_app import toolkit
from delegation_app.admin.blocks import lifting
from delegation_app.models import (
    ClientPolicy,
    DelegationBlock,
    ProposedChange,
    ResourceServer,
)
from delegation_app.protocol import names
from delegation_app.services.audit import RequestContext
from delegation_app.services.clients.proposals import propose
from delegation_app.services.delegations import blocks, revocation
from tests.admin.conftest import browser, events, page, text_of
from tests.admin.test_clients import filled_in
from tests.admin.test_consent_review import PNG, upload
from tests.admin.test_policy import LIMITS, PREFIX, save, url_of

ADD = "/admin/oauth2_provider/application/add/"
ADD_SERVER = "/admin/delegation_app/resourceserver/add/"
LIST = "/admin/delegation_app/proposedchange/"
NEW = {
    "name": "New",
    "client_id": "new",
    "client_secret": "a-new-secret-of-good-length",
    "client_type": "confidential",
    "authorization_grant_type": "client-credentials",
}
SERVER = {
    "name": "D",
    "identifier": "https://d.example.com",
    "scopes": "read:metrics",
    "token_format": "jwt",
    "active": "on",
}


@pytest.fixture(autouse=True)
def _two_operators(settings):
    settings.DELEGATION = {**settings.DELEGATION, "SECOND_OPERATOR": True}


@pytest.fixture
def second(db):
    """A browser of the second operator."""
    return browser("superuser")


@pytest.fixture
def operators(operator, second):
    return operator, second


def subject(client):
    return f"user:{client.session['_auth_user_id']}"


def proposal():
    return ProposedChange.objects.latest("pk")


def address(name, row=None):
    return page("proposedchange", name, (row or proposal()).pk)


def decide(client, name="approve", row=None):
    return client.post(address(name, row), {"reason": "looked at"}, follow=True)


def unticked(client, app, name):
    data = filled_in(client, url_of(app))
    del data[f"{PREFIX}{name}"]
    return client.post(url_of(app), data, follow=True)


def state_of(app):
    policy = ClientPolicy.objects.filter(application=app.row)
    audiences = list(policy.values_list("audiences", flat=True))
    return policy.values().get(), audiences, _row(app)


def _row(app):
    rows = toolkit.application_model().objects.filter(pk=app.row.pk).values()
    return {name: value for name, value in rows.get().items() if name != "updated"}


def test_change_when_it_only_narrows_then_it_applies_at_once(world, operator):
    assert save(operator, world.web, scopes="read:metrics", always_prompt="on").status_code == 302
    assert str(world.web.policy.scopes) == "read:metrics"
    assert ProposedChange.objects.count() == 0


def test_change_when_it_widens_then_nothing_of_it_applies_and_the_page_says_so(world, operator):
    world.web.change(scopes="read:metrics write:alerts")
    before = state_of(world.web)
    data = filled_in(operator, url_of(world.web)) | {
        "second_operator_reason": "the new report",
        "name": "Web 2",
        f"{PREFIX}scopes": "read:metrics read:profile",
    }
    response = operator.post(url_of(world.web), data, follow=True)
    assert state_of(world.web) == before
    made = proposal()
    html = text_of(response)
    assert "Not applied yet" in html
    assert address("change") in html
    assert (made.kind, made.change, made.key) == ("client", "changed", str(world.web.row.pk))
    assert made.before == {"name": "Web", "clientpolicy.scopes": "read:metrics write:alerts"}
    assert made.after == {"name": "Web 2", "clientpolicy.scopes": "read:metrics read:profile"}
    assert (made.proposed_by, made.reason) == (subject(operator), "the new report")
    [event] = events("change.proposed")
    assert (event.actor, event.client_id_value, event.reason) == (
        subject(operator),
        "web",
        "the new report",
    )
    assert event.details["after"] == made.after
    assert events("client.changed") == []


def test_change_when_approved_then_it_applies_and_both_operators_are_on_record(
    world, operator, second
):
    world.web.change(scopes="read:metrics")
    save(operator, world.web, scopes="read:metrics read:profile", home_page="https://w.example/")
    made = proposal()
    assert "Read:metrics" not in text_of(second.get(address("approve")))
    assert "Scopes: read:metrics → read:metrics read:profile" in text_of(
        second.get(address("approve"))
    )
    assert "The change was approved and applied." in text_of(decide(second))
    assert str(world.web.policy.scopes) == "read:metrics read:profile"
    assert world.web.policy.home_page == "https://w.example/"
    made.refresh_from_db()
    assert (made.state, made.decided_by) == ("approved", subject(second))
    assert (made.decision_reason, made.posted) == ("looked at", {})
    [changed] = events("client.changed")
    assert changed.actor == subject(second)
    assert changed.details["proposed_by"] == subject(operator)
    assert changed.details["approved_by"] == subject(second)
    assert changed.details["proposal"] == made.pk
    assert changed.details["before"] == made.before
    assert changed.details["after"] == made.after
    [approved] = events("change.approved")
    assert (approved.actor, approved.reason) == (subject(second), "looked at")
    shown = text_of(second.get(page("auditevent", "change", changed.pk)))
    assert f"<dt>Proposed by</dt><dd>operator ({subject(operator)})</dd>" in shown
    assert f"<dt>Approved by</dt><dd>superuser ({subject(second)})</dd>" in shown


@pytest.mark.parametrize(
    ("field", "narrow", "sent"),
    [
        ("grants", {"grants": [names.AUTHORIZATION_CODE]}, ["authorization_code", "refresh_token"]),
        ("enabled", {"enabled": False}, "on"),
        ("may_impersonate", {}, "on"),
        ("may_act", {}, "service-a"),
        ("constraints", {}, None),
        ("delegation_lifetime", {"delegation_lifetime": 60}, ""),
        ("required_scopes", {}, "read:metrics"),
        ("may_introspect_all", {}, "on"),
    ],
)
def test_policy_when_a_field_widens_then_it_waits_and_applies_once_approved(
    world, operators, field, narrow, sent
):
    operator, second = operators
    if field == "constraints":
        save(operator, world.web, constraints=json.dumps(LIMITS))
        sent = json.dumps(LIMITS[:1])
    world.web.change(**narrow)
    before = state_of(world.web)
    save(operator, world.web, **{field: sent})
    assert state_of(world.web) == before
    assert set(proposal().after) == {f"clientpolicy.{field}"}
    decide(second)
    assert state_of(world.web) != before
    assert proposal().state == "approved"


@pytest.mark.parametrize("name", ["confirm_risky", "always_prompt"])
def test_policy_when_a_safeguard_is_taken_away_then_it_waits(world, operator, second, name):
    world.web.change(**{name: True})
    unticked(operator, world.web, name)
    assert getattr(world.web.policy, name)
    decide(second)
    assert not getattr(world.web.policy, name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("redirect_uris", "https://web.example.com/callback https://evil.example.com/cb"),
        ("redirect_uris", "https://evil.example.com/cb"),
        ("skip_authorization", "on"),
        ("client_type", "public"),
    ],
)
def test_application_when_it_widens_then_it_waits(world, operator, second, name, value):
    before = state_of(world.web)
    data = filled_in(operator, url_of(world.web)) | {name: value}
    operator.post(url_of(world.web), data)
    assert state_of(world.web) == before
    assert set(proposal().after) == {name}
    decide(second)
    assert state_of(world.web) != before


def test_application_when_added_then_it_waits_without_its_secret(world, operator, second):
    data = filled_in(operator, ADD) | NEW
    response = operator.post(ADD, data, follow=True)
    assert "Not applied yet" in text_of(response)
    model = toolkit.application_model()
    assert not model.objects.filter(client_id="new").exists()
    made = proposal()
    assert (made.change, made.key, made.name) == ("added", "", "new")
    assert NEW["client_secret"] not in json.dumps([made.before, made.after, made.posted])
    assert "Its secret is not stored." in text_of(second.get(address("approve")))
    decide(second)
    row = model.objects.get(client_id="new")
    assert not toolkit.secret_matches(row, NEW["client_secret"])
    [event] = events("client.changed")
    assert (event.details["change"], event.details["proposed_by"]) == ("added", subject(operator))
    # Its policy comes next, and what that adds to the derived one waits as well
    save(operator, world.web.__class__(row, None), may_introspect_all="on")
    assert proposal().after == {"clientpolicy.may_introspect_all": True}
    assert not ClientPolicy.objects.filter(application=row).exists()
    decide(second)
    assert ClientPolicy.objects.get(application=row).may_introspect_all


def test_server_when_added_then_it_waits(world, operator, second):
    sent = SERVER | {"introspectors": [world.web.row.pk]}
    operator.post(ADD_SERVER, sent)
    assert not ResourceServer.objects.filter(name="D").exists()
    assert proposal().after["introspectors"] == ["web"]
    decide(second)
    row = ResourceServer.objects.get(name="D")
    assert list(row.introspectors.all()) == [world.web.row]
    assert len(events("resource_server.changed")) == 1


def test_server_when_it_widens_then_it_waits(world, operator, second):
    ResourceServer.objects.filter(pk=world.service_b.pk).update(active=False)
    url = page("resourceserver", "change", world.service_b.pk)
    html = text_of(operator.get(url))
    assert "second_operator_reason" in html
    data = filled_in(operator, url)
    data |= {"active": "on", "introspectors": [world.service_b_client.row.pk, world.web.row.pk]}
    operator.post(url, data)
    world.service_b.refresh_from_db()
    assert not world.service_b.active
    assert set(proposal().after) == {"active", "introspectors"}
    assert address("change") in text_of(operator.get(url))
    decide(second)
    world.service_b.refresh_from_db()
    assert world.service_b.active
    assert world.service_b.introspectors.count() == 2


def test_change_when_saved_twice_then_it_waits_once(world, operator):
    for _ in range(2):
        save(operator, world.web, may_impersonate="on")
    assert ProposedChange.objects.count() == len(events("change.proposed")) == 1


@pytest.mark.parametrize(
    "beside", [{"client_secret": "a-secret-of-good-length"}, {f"{PREFIX}logo_file": "logo"}]
)
def test_change_when_it_widens_beside_a_secret_or_a_logo_then_it_is_refused(
    world, operator, beside
):
    before = state_of(world.web)
    data = filled_in(operator, url_of(world.web)) | {f"{PREFIX}may_impersonate": "on"}
    data |= {name: upload(PNG) if value == "logo" else value for name, value in beside.items()}
    response = operator.post(url_of(world.web), data, follow=True)
    assert "a secret or logo cannot be stored" in text_of(response)
    assert state_of(world.web) == before
    assert ProposedChange.objects.count() == 0


@pytest.mark.parametrize(
    "alone", [{"client_secret": "a-secret-of-good-length"}, {f"{PREFIX}logo_file": "logo"}]
)
def test_change_when_it_is_a_secret_or_a_logo_alone_then_it_applies(world, operator, alone):
    data = filled_in(operator, url_of(world.web))
    data |= {name: upload(PNG) if value == "logo" else value for name, value in alone.items()}
    assert operator.post(url_of(world.web), data).status_code == 302
    assert len(events("client.changed")) == 1


def test_change_when_rejected_then_nothing_applies(world, operator, second):
    save(operator, world.web, may_impersonate="on")
    assert "The change was rejected." in text_of(decide(second, "reject"))
    assert not world.web.policy.may_impersonate
    made = proposal()
    assert (made.state, made.decided_by, made.posted) == ("rejected", subject(second), {})
    [event] = events("change.rejected")
    assert event.reason == "looked at"
    assert "This change is no longer pending." in text_of(decide(second))
    assert not world.web.policy.may_impersonate


def test_change_when_its_proposer_withdraws_it_then_nothing_applies(world, operator, second):
    save(operator, world.web, may_impersonate="on")
    assert decide(second, "withdraw").status_code == 403
    assert proposal().state == "pending"
    assert "The change was withdrawn." in text_of(decide(operator, "withdraw"))
    assert proposal().state == "withdrawn"
    assert len(events("change.withdrawn")) == 1


def test_change_when_another_value_stands_there_now_then_it_is_stale(world, operator, second):
    save(operator, world.web, access_token_lifetime="900")
    world.web.change(access_token_lifetime=60)
    assert "The record has changed" in text_of(decide(second))
    made = proposal()
    assert (made.state, world.web.policy.access_token_lifetime) == ("stale", 60)
    assert len(events("change.stale")) == 1
    assert events("change.approved") == events("client.changed") == []


def test_change_when_something_else_was_narrowed_meanwhile_then_that_stays_narrow(
    world, operator, second
):
    save(operator, world.web, may_impersonate="on")
    save(operator, world.web, scopes="read:metrics")
    decide(second)
    assert proposal().state == "stale"
    assert str(world.web.policy.scopes) == "read:metrics"
    assert not world.web.policy.may_impersonate


def test_change_when_its_form_refuses_it_now_then_it_is_stale(world, operator, second):
    save(operator, world.web, may_act="cron")
    world.cron.row.delete()
    assert "Unknown client id." in text_of(decide(second))
    assert proposal().state == "stale"


def test_change_when_nobody_decides_for_a_week_then_it_has_expired(world, operator, second, clock):
    save(operator, world.web, may_impersonate="on")
    clock.forward(days=7)
    assert "This change is no longer pending." in text_of(decide(second))
    assert not world.web.policy.may_impersonate
    assert "expired" in text_of(second.get(address("change")))
    assert "0 changes pending" in text_of(second.get(LIST))
    # It can be proposed again
    save(operator, world.web, may_impersonate="on")
    assert ProposedChange.objects.count() == 2


def test_list_when_some_are_decided_then_it_shows_what_waits_unless_asked(world, operator, second):
    save(operator, world.web, may_impersonate="on")
    decide(second)
    save(operator, world.cron, may_impersonate="on")
    assert list(second.get(LIST).context["cl"].result_list) == [proposal()]
    assert len(second.get(LIST, {"state": "all"}).context["cl"].result_list) == 2
    approved = second.get(LIST, {"state": "approved"}).context["cl"].result_list
    assert [row.name for row in approved] == ["web"]
    assert second.get(LIST, {"state": "nonsense"}).status_code == 200
    assert "operator (" in text_of(second.get(LIST))


def test_list_when_there_are_many_then_it_asks_no_more(
    world, operator, second, django_assert_max_num_queries
):
    second.get(LIST)
    for name in ("may_impersonate", "may_introspect_all", "may_refresh_exchanged_tokens"):
        save(operator, world.web, **{name: "on"})
    with django_assert_max_num_queries(9):
        second.get(LIST)


def test_page_of_a_client_when_something_waits_then_it_links_to_it(world, operator, auditor):
    save(operator, world.web, may_impersonate="on")
    for client in (operator, auditor):
        assert address("change") in text_of(client.get(url_of(world.web)))
    assert "second_operator_reason" not in text_of(auditor.get(url_of(world.web)))


def test_pages_when_the_setting_is_off_then_nothing_waits(world, operator, settings):
    settings.DELEGATION = {**settings.DELEGATION, "SECOND_OPERATOR": False}
    assert "second_operator_reason" not in text_of(operator.get(url_of(world.web)))
    save(operator, world.web, may_impersonate="on")
    assert world.web.policy.may_impersonate
    assert ProposedChange.objects.count() == 0


def test_proposal_when_the_setting_is_off_by_now_then_it_can_still_be_approved(
    world, operator, second, settings
):
    save(operator, world.web, may_impersonate="on")
    settings.DELEGATION = {**settings.DELEGATION, "SECOND_OPERATOR": False}
    decide(second)
    assert world.web.policy.may_impersonate


def test_block_when_another_operator_approves_then_it_is_lifted(story, operator, second):
    story.client_credentials()
    [row] = story.world.cron.row.delegations_held.all()
    revocation.subtree(row, RequestContext(actor="user:99"), reason="noisy")
    assert story.client_credentials().status_code == 400
    block = DelegationBlock.objects.get()
    lift = page("delegationblock", "lift", block.pk)
    assert "Not applied yet" in text_of(operator.post(lift, {"reason": "fixed"}, follow=True))
    assert story.client_credentials().status_code == 400
    made = proposal()
    assert made.reason == "fixed"
    assert (made.kind, made.change) == ("block", "lifted")
    assert "Blocked: yes → no" in text_of(second.get(address("approve")))
    decide(second)
    assert story.client_credentials().status_code == 200
    [event] = events("block.lifted")
    assert (event.actor, event.reason) == (subject(second), "fixed")


def test_block_when_it_was_lifted_meanwhile_then_the_proposal_is_stale(story, operator, second):
    story.client_credentials()
    [row] = story.world.cron.row.delegations_held.all()
    revocation.subtree(row, RequestContext(actor="user:99"), reason="noisy")
    block = DelegationBlock.objects.get()
    propose(lifting.wanted(block), RequestContext(actor=subject(operator)))
    blocks.lift(block, RequestContext(), reason="by a script")
    assert "The block was lifted before." in text_of(decide(second))
    assert proposal().state == "stale"


def test_block_when_the_proposer_may_not_lift_it_any_more_then_it_stays(story, operator, second):
    story.client_credentials()
    [row] = story.world.cron.row.delegations_held.all()
    revocation.subtree(row, RequestContext(actor="user:99"), reason="noisy")
    propose(lifting.wanted(DelegationBlock.objects.get()), RequestContext(actor=subject(operator)))
    get_user_model().objects.get(username="operator").user_permissions.clear()
    decide(second)
    assert proposal().state == "stale"
    assert story.client_credentials().status_code == 400
