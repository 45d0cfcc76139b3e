"""Taking a part away from a delegation that goes on."""

import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delegation_app.models import Delegation
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import InvalidRequest, InvalidScope, InvalidTarget
from delegation_app.services import audit
from delegation_app.services.delegations import creation, revocation
from tests.admin.conftest import events, page, text_of
from tests.support import SecureClient
from tests.support.world import SERVICE_A, SERVICE_C

BOTH = ["read:metrics", "write:alerts"]
OFFICE = [{"type": "ip_range", "networks": ["192.0.2.0/24"]}]


def narrow(client, delegation, **changes):
    data = {"scopes": BOTH, "reason": "too much", **changes}
    return client.post(page("delegation", "narrow", delegation.pk), data, follow=True)


def errors(response):
    return response.context["confirmation"].form.errors


def local(when):
    return timezone.localtime(when).strftime("%Y-%m-%dT%H:%M:%S")


def test_narrow_when_asked_then_the_page_shows_what_there_is_and_what_follows(forest, operator):
    url = page("delegation", "narrow", forest.middle.pk)
    assert f'href="{url}"' in text_of(operator.get(page("delegation", "change", forest.middle.pk)))
    html = text_of(operator.get(url))
    assert "1 delegation below it is narrowed too, and ends if nothing is left of it." in html
    assert "2 live access tokens allow less" in html
    assert "may accept the old terms of a token for" in html
    assert len(re.findall(r'name="scopes" value="[^"]+"[^>]* checked', html)) == 2
    assert f'value="{local(forest.middle.expires_at)}"' in html
    assert "Only from 192.0.2.0/24." in html
    assert "This delegation has no child delegations." in text_of(
        operator.get(page("delegation", "narrow", forest.leaf.pk))
    )


def test_narrow_when_a_scope_is_taken_then_it_is_gone_below_too_and_told_once(forest, operator):
    response = narrow(operator, forest.middle, scopes=["read:metrics"])
    assert "The delegation was narrowed." in text_of(response)
    assert response.redirect_chain == [(page("delegation", "change", forest.middle.pk), 302)]
    scopes = [str(row.scopes) for row in Delegation.objects.order_by("depth")]
    assert scopes == ["read:metrics write:alerts", "read:metrics", "read:metrics"]
    [event] = events("delegation.narrowed")
    assert event.actor == f"user:{operator.session['_auth_user_id']}"
    assert (event.reason, event.delegation_id) == ("too much", forest.middle.pk)
    story = forest.story
    told = story.introspect(forest.answers[2]["access_token"], story.world.service_c_client).json()
    assert told["scope"] == "read:metrics"

    again = narrow(operator, forest.middle, scopes=["read:metrics"])
    assert "This would change nothing." in text_of(again)
    assert len(events("delegation.narrowed")) == 1


def test_narrow_when_it_ends_earlier_then_all_below_does(forest, operator):
    ends = (timezone.now() + timedelta(hours=1)).replace(microsecond=0)
    assert "was narrowed" in text_of(narrow(operator, forest.root, expires_at=local(ends)))
    assert set(Delegation.objects.values_list("expires_at", flat=True)) == {ends}


def test_narrow_when_a_constraint_is_added_then_it_holds_and_is_shown(forest, operator):
    response = narrow(operator, forest.middle, constraints=json.dumps(OFFICE))
    assert "<li>Only from 192.0.2.0/24.</li>" in text_of(response)
    wanted = Constraints.parse(OFFICE)
    found = [row.constraints for row in Delegation.objects.order_by("depth")]
    assert found == [Constraints(), wanted, wanted]
    assert "This would change nothing." in text_of(
        narrow(operator, forest.middle, constraints=json.dumps(OFFICE))
    )


def test_narrow_when_nothing_is_left_below_then_it_ends_and_the_message_says_so(forest, operator):
    here = [{"type": "resource_servers", "identifiers": [SERVICE_A]}]
    Delegation.objects.filter(pk=forest.leaf.pk).update(
        constraints=Constraints.parse([{"type": "resource_servers", "identifiers": [SERVICE_C]}])
    )
    response = narrow(operator, forest.middle, constraints=json.dumps(here))
    assert "1 delegation below it had nothing left and ended." in text_of(response)
    assert forest.live() == [True, True, False]
    assert len(events("delegation.narrowed")) == 1
    assert events("delegation.narrowed")[0].details["ended"] == 1


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"scopes": []}, "scopes", "Keep at least one. To take all away, revoke the delegation."),
        ({"scopes": ["admin"]}, "scopes", "It does not have admin any more. Reload the page."),
        ({"reason": " "}, "reason", "This field is required."),
        ({"expires_at": "2020-01-01T00:00:00"}, "expires_at", "It must be in the future."),
        ({"expires_at": "9998-01-01T00:00:00"}, "expires_at", "not be later than the current end"),
        ({"expires_at": "soon"}, "expires_at", "Enter a valid date/time."),
        ({"expires_at": "0001-01-01T00:00:00"}, "expires_at", ""),
        ({"constraints": "{"}, "constraints", "The constraints are not valid JSON."),
        ({"constraints": "{}"}, "constraints", "The constraints must be an array."),
        ({"constraints": "[1]"}, "constraints", "A constraint must be an object."),
        ({"constraints": '[{"type": "no"}]'}, "constraints", "no is not a known constraint type."),
        ({"constraints": "[" * 4000}, "constraints", "The constraints are not valid JSON."),
        ({"constraints": "[" + " " * 5000 + "]"}, "constraints", "longer than 4096 bytes"),
        ({"constraints": "\x00"}, "constraints", "The constraints are not valid JSON."),
        ({"constraints": "[]"}, "__all__", "This would change nothing."),
        ({}, "__all__", "This would change nothing."),
    ],
)
def test_narrow_when_something_is_wrong_then_the_form_says_so_and_nothing_happens(
    forest, operator, changes, field, message
):
    before = list(Delegation.objects.order_by("pk").values())
    response = narrow(operator, forest.middle, **changes)
    assert response.status_code == 200
    assert list(errors(response)) == [field]
    assert message in str(errors(response)[field])
    assert list(Delegation.objects.order_by("pk").values()) == before
    assert events("delegation.narrowed") == []


def test_narrow_when_a_constraint_leaves_nothing_then_the_field_says_so(forest, operator):
    narrow(operator, forest.middle, constraints=json.dumps(OFFICE))
    elsewhere = [{"type": "ip_range", "networks": ["198.51.100.0/24"]}]
    response = narrow(operator, forest.middle, constraints=json.dumps(elsewhere))
    assert list(errors(response)) == ["constraints"]
    assert len(events("delegation.narrowed")) == 1


def test_narrow_when_it_was_narrowed_meanwhile_then_the_service_decides(
    forest, operator, monkeypatch
):
    for error, field in (
        (InvalidScope("More than it has."), "scopes"),
        (InvalidTarget("Nothing."), "__all__"),
        (InvalidRequest("The delegation has ended."), "expires_at"),
    ):

        def refuse(*_args, error=error, **_kwargs):
            raise error

        monkeypatch.setattr(creation, "narrow", refuse)
        response = narrow(operator, forest.middle, scopes=["read:metrics"])
        assert errors(response)[field] == [error.description]


def test_narrow_when_it_has_no_end_yet_then_it_gets_one(story, operator):
    story.client_credentials()
    row = Delegation.objects.get()
    assert row.expires_at is None
    ends = (timezone.now() + timedelta(days=1)).replace(microsecond=0)
    narrow(operator, row, scopes=list(row.scopes), expires_at=local(ends))
    row.refresh_from_db()
    assert row.expires_at == ends


def test_narrow_when_there_is_no_scope_then_the_page_says_why_not(story, operator):
    story.client_credentials()
    Delegation.objects.update(scopes="")
    row = Delegation.objects.get()
    assert 'name="scopes"' not in text_of(operator.get(page("delegation", "narrow", row.pk)))
    response = narrow(operator, row, constraints=json.dumps(OFFICE))
    assert errors(response)["__all__"] == ["No scope would be left."]
    assert events("delegation.narrowed") == []


def test_narrow_when_a_scope_is_all_that_one_below_has_then_that_one_ends(forest, operator):
    Delegation.objects.filter(pk=forest.leaf.pk).update(scopes="write:alerts")
    response = narrow(operator, forest.root, scopes=["read:metrics"])
    assert "1 delegation below it had nothing left and ended." in text_of(response)
    assert forest.live() == [True, True, False]


@pytest.mark.parametrize("method", ["get", "post"])
def test_narrow_when_it_has_ended_or_is_suspended_then_it_says_so(forest, operator, method):
    world = forest.story.world
    world.web.change(enabled=False)
    for row in (forest.leaf, forest.middle):
        url = page("delegation", "narrow", row.pk)
        assert url not in text_of(operator.get(page("delegation", "change", row.pk)))
        response = getattr(operator, method)(
            url, {"scopes": ["read:metrics"], "reason": "x"}, follow=True
        )
        assert "Only a live delegation can be narrowed." in text_of(response)
    world.web.change(enabled=True)
    revocation.subtree(forest.middle, audit.RequestContext(), reason="x")
    url = page("delegation", "narrow", forest.leaf.pk)
    assert "Only a live delegation can be narrowed." in text_of(operator.get(url, follow=True))
    assert events("delegation.narrowed") == []


@pytest.mark.parametrize("may", ["narrow_delegation", "revoke_delegation"])
def test_deeds_when_somebody_may_do_one_then_not_the_other(forest, django_user_model, may):
    user = django_user_model.objects.create_user("half", is_staff=True)
    wanted = [may, "view_delegation"]
    user.user_permissions.set(Permission.objects.filter(codename__in=wanted))
    client = SecureClient()
    client.force_login(user)
    html = text_of(client.get(page("delegation", "change", forest.middle.pk)))
    for deed in ("narrow", "revoke"):
        url = page("delegation", deed, forest.middle.pk)
        allowed = may.startswith(deed)
        assert (url in html) is allowed
        assert client.get(url).status_code == (200 if allowed else 403)
    everything = page("delegation", "everything", forest.middle.pk, "both")
    assert (everything in html) is (may == "revoke_delegation")
    assert client.post(page("delegation", "narrow", forest.middle.pk), {}).status_code == (
        200 if may == "narrow_delegation" else 403
    )


def test_narrow_when_much_hangs_on_it_then_asking_costs_the_same(forest, operator):
    def cost():
        with CaptureQueriesContext(connection) as captured:
            operator.get(page("delegation", "narrow", forest.root.pk))
        return len(captured)

    cost()
    few = cost()
    for _ in range(5):
        answer = forest.story.exchange(forest.answers[0]["access_token"], scope="read:metrics")
        assert answer.status_code == 200
    assert cost() == few
    assert few <= 20
