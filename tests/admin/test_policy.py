"""The policy of a client: limits and handing on."""

import json

import pytest

from delegation_app.admin.constraint_field import EXAMPLES
from delegation_app.models import ClientPolicy
from delegation_app.protocol.constraints import BUILT_IN, Constraints, parse_text
from tests.admin.conftest import events, page, text_of
from tests.admin.test_clients import filled_in

pytestmark = pytest.mark.compat

LIMITS = [{"type": "max_depth", "depth": 1}, {"type": "max_uses", "uses": 5}]
PREFIX = "delegation_policy-0-"


def url_of(app):
    return page("application", "change", app.row.pk, app="oauth2_provider")


def save(client, app, **values):
    data = filled_in(client, url_of(app))
    data |= {f"{PREFIX}{name}": value for name, value in values.items()}
    return client.post(url_of(app), data)


def inline_errors(response):
    [formset] = response.context["inline_admin_formsets"]
    return formset.formset.forms[0].errors


def test_examples_when_copied_together_then_they_are_all_types_and_valid():
    assert {example["type"] for example in EXAMPLES} == {kind.TYPE for kind in BUILT_IN}
    assert len(parse_text(json.dumps(EXAMPLES))) == len(BUILT_IN)


def test_policy_when_limits_are_set_then_they_are_stored_recorded_and_shown(world, operator):
    response = save(
        operator,
        world.web,
        constraints=json.dumps(LIMITS),
        may_request_constraints="on",
        may_act="service-a",
        may_exchange_refresh_tokens="on",
        may_refresh_exchanged_tokens="on",
        may_impersonate="on",
    )
    assert response.status_code == 302, inline_errors(response)
    policy = world.web.policy
    assert policy.constraints == Constraints.parse(LIMITS)
    assert policy.may_act == "service-a"
    assert policy.may_request_constraints
    assert policy.may_impersonate
    assert policy.may_exchange_refresh_tokens
    assert policy.may_refresh_exchanged_tokens
    [event] = events("client.changed")
    assert sorted(event.details["fields"]) == [
        "clientpolicy.constraints",
        "clientpolicy.may_act",
        "clientpolicy.may_exchange_refresh_tokens",
        "clientpolicy.may_impersonate",
        "clientpolicy.may_refresh_exchanged_tokens",
        "clientpolicy.may_request_constraints",
    ]
    html = operator.get(url_of(world.web)).content.decode()
    assert "{&quot;type&quot;: &quot;max_depth&quot;, &quot;depth&quot;: 1}," in html
    # Saved again as a browser sends it back
    assert save(operator, world.web).status_code == 302
    assert len(events("client.changed")) == 1
    assert world.web.policy.constraints == policy.constraints


def test_policy_when_limits_hold_then_what_is_opened_has_them(story, operator):
    save(operator, story.world.web, constraints=json.dumps(LIMITS[:1]))
    first = story.tokens()
    second = story.exchange(first["access_token"]).json()
    third = story.exchange(
        second["access_token"],
        story.world.service_b_client,
        audience="https://service-c.example.com",
    )
    assert third.status_code == 400


def test_policy_when_limits_are_emptied_then_there_are_none(world, operator):
    world.web.change(constraints=Constraints.parse(LIMITS))
    assert save(operator, world.web, constraints="").status_code == 302
    assert world.web.policy.constraints == Constraints()
    assert events("client.changed")[0].details["fields"] == ["clientpolicy.constraints"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("constraints", "x", "The constraints are not valid JSON."),
        ("constraints", '{"type": "max_uses"}', "The constraints must be an array."),
        ("constraints", '[{"type": "max_uses"}]', "max_uses: uses is missing."),
        ("constraints", '[{"type": "made_up"}]', "made_up is not a known constraint type."),
        ("constraints", "[NaN]", "The constraints are not valid JSON."),
        ("may_act", "nobody", "Unknown client id."),
        ("may_act", "SERVICE-A", "Unknown client id."),
    ],
)
def test_policy_when_a_value_is_bad_then_the_page_says_so(world, operator, field, value, message):
    response = save(operator, world.web, **{field: value})
    assert response.status_code == 200
    assert inline_errors(response)[field] == [message]
    assert message in text_of(response)
    assert events("client.changed") == []
    assert world.web.policy.constraints == Constraints()


def test_policy_when_what_is_stored_is_gone_then_other_values_can_be_saved(world, operator):
    unknown = [{"type": "of_a_package_that_is_gone", "x": 1}]
    ClientPolicy.objects.filter(pk=world.web.row.pk).update(
        constraints=Constraints.stored(unknown), may_act="left"
    )
    assert save(operator, world.web, always_prompt="on").status_code == 302
    policy = world.web.policy
    assert policy.always_prompt
    assert policy.may_act == "left"
    assert policy.constraints.as_json() == unknown
    assert events("client.changed")[0].details["fields"] == ["clientpolicy.always_prompt"]


def test_policy_when_it_is_only_viewed_then_limits_are_sentences(world, auditor):
    world.web.change(constraints=Constraints.parse(LIMITS), may_impersonate=True)
    html = text_of(auditor.get(url_of(world.web)))
    assert (
        "<li>It may be delegated onward at most once.</li><li>At most 5 tokens in total.</li>"
        in html
    )
    assert "<textarea" not in html.partition('id="delegation_policy')[2]


def test_policy_when_shown_then_impersonation_comes_with_a_warning(world, operator):
    html = text_of(operator.get(url_of(world.web)))
    assert "Only the audit trail records it" in html
    assert "delegation-examples" in html


def test_policy_when_it_was_derived_then_setting_a_limit_stores_it(world, operator):
    world.cron.policy.delete()
    assert save(operator, world.cron, constraints=json.dumps(LIMITS)).status_code == 302
    assert world.cron.policy.constraints == Constraints.parse(LIMITS)


@pytest.mark.parametrize(("typed", "stored"), [("120", 120), ("0", 0), ("", None)])
def test_retry_window_when_typed_then_it_is_stored_and_explained(world, operator, typed, stored):
    shown = text_of(operator.get(url_of(world.web)))
    assert "Refresh retry window" in shown
    assert "a client that lost a response" in shown
    world.web.change(refresh_retry_window=77)
    assert save(operator, world.web, refresh_retry_window=typed).status_code == 302
    assert world.web.policy.refresh_retry_window == stored
    [event] = events("client.changed")
    assert event.details["fields"] == ["clientpolicy.refresh_retry_window"]


@pytest.mark.parametrize("typed", ["-1", "1.5", "a minute"])
def test_retry_window_when_it_is_no_number_of_seconds_then_an_error(world, operator, typed):
    response = save(operator, world.web, refresh_retry_window=typed)
    assert "refresh_retry_window" in inline_errors(response)
