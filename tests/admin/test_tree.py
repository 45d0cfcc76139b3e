"""The page and the list of delegations that were handed on."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delegation_app.admin.delegations import tree
from delegation_app.models import AuditEvent, Delegation
from delegation_app.protocol.constraints import Constraints
from delegation_app.services import audit, limits
from delegation_app.services.delegations import revocation
from tests.admin.conftest import Forest, page, text_of
from tests.support.world import Story

pytestmark = pytest.mark.compat

LIST = "/admin/delegation_app/delegation/"


def opened(client, delegation):
    return client.get(page("delegation", "change", delegation.pk))


def listed(client, **query):
    return {row.pk for row in client.get(LIST, query).context["cl"].result_list}


def summary_of(response):
    return " ".join(response.context["summary"])


def add_children(parent, count):
    now = timezone.now()
    rows = [
        Delegation(
            parent=parent,
            principal_user=parent.principal_user,
            subject=parent.subject,
            delegate=parent.delegate,
            delegate_client_id=parent.delegate_client_id,
            scopes=parent.scopes,
            audience=parent.audience,
            grant_type="made by a test",
            terms_digest=f"{number:064}",
            issued_at=now - timedelta(seconds=number),
        )
        for number in range(count)
    ]
    for row in rows:
        row._take_place()
    Delegation.objects.bulk_create(rows)


def test_page_when_it_is_in_the_middle_then_the_tree_is_shown_with_links(forest, auditor):
    response = opened(auditor, forest.middle)
    found = response.context["tree"]
    assert [node.is_current for node in found.chain] == [False, True]
    assert [node.state for node in found.chain] == ["live", "live"]
    assert found.chain[0].whose == "for alice"
    assert found.chain[0].audience == "Service A"
    assert found.chain[1].scopes == "read:metrics, write:alerts"
    assert [node.goes_on for node in found.children] == [False]
    assert (found.below, found.more) == (1, 0)
    html = text_of(response)
    for row, name in forest.named():
        assert f'<a href="{page("delegation", "change", row.pk)}">{name}</a>' in html
    # In the drawing, and in the list that says the same
    assert html.count('aria-current="true"') == 2
    assert f"{LIST}?root={forest.root.public_id}" in html


def test_page_when_it_is_the_root_then_children_that_go_on_are_marked(forest, auditor):
    found = opened(auditor, forest.root).context["tree"]
    assert [node.goes_on for node in found.children] == [True]
    assert found.below == 2


def test_page_when_it_has_no_tree_then_there_is_no_link_to_one(story, auditor):
    story.tokens()
    html = text_of(opened(auditor, Delegation.objects.get()))
    assert "This delegation has no child delegations." in html
    assert "?root=" not in html


def test_summary_when_it_was_handed_on_then_it_says_by_whom_and_who_acts(forest, auditor):
    middle = summary_of(opened(auditor, forest.middle))
    assert "Service-A passes on what alice lets Web do: at Service B with read:metrics" in middle
    assert "Service-A acts on behalf of alice." in middle
    leaf = summary_of(opened(auditor, forest.leaf))
    assert "Service-B passes on what alice lets Service-A do: at Service C" in leaf
    assert "Service-B acts on behalf of alice; before it acted: Service-A." in leaf
    assert "acts on behalf" not in summary_of(opened(auditor, forest.root))


def test_summary_when_the_actor_is_left_out_then_it_says_so(story, auditor):
    story.world.service_a_client.change(may_impersonate=True)
    forest = Forest(story)
    assert "Its tokens name no actor" in summary_of(opened(auditor, forest.middle))


def test_summary_when_a_client_passes_on_its_own_then_it_says_so(story, auditor):
    cron = story.client_credentials().json()
    assert story.exchange(cron["access_token"]).status_code == 200
    child = Delegation.objects.get(depth=1)
    response = opened(auditor, child)
    assert "Service-A passes on what Cron does for itself" in summary_of(response)
    assert response.context["tree"].chain[0].whose == "for itself"
    assert response.context["tree"].chain[1].whose == "for Cron"


def test_summary_when_a_client_uses_a_part_of_its_own_then_it_says_so(forest, auditor):
    Delegation.objects.filter(pk=forest.middle.pk).update(
        delegate=forest.root.delegate, delegate_client_id="web"
    )
    assert "Web uses a part of what alice lets it do" in summary_of(opened(auditor, forest.middle))


@pytest.mark.parametrize(
    ("disabled", "why"),
    [
        ("web", "the client Web above it is disabled"),
        ("service_a_client", "the client Service-A above it is disabled"),
        ("service_b_client", "the client Service-B is disabled"),
        (None, "alice is disabled"),
    ],
)
def test_summary_when_somebody_is_disabled_then_it_says_who(forest, auditor, disabled, why):
    world = forest.story.world
    if disabled is None:
        world.alice.is_active = False
        world.alice.save()
    else:
        world.apps[disabled].change(enabled=False)
    response = opened(auditor, forest.leaf)
    assert f"Suspended: {why}." in summary_of(response)
    assert response.context["tree"].chain[-1].state == "suspended"
    assert forest.leaf.pk in listed(auditor, state="suspended")


def test_page_when_there_are_constraints_then_each_is_a_sentence(story, auditor):
    limits = [{"type": "max_uses", "uses": 3}, {"type": "ip_range", "networks": ["127.0.0.0/8"]}]
    story.world.web.change(constraints=Constraints.parse(limits))
    forest = Forest(story)
    for row in (forest.root, forest.leaf):
        html = text_of(opened(auditor, row))
        assert "<li>Only from 127.0.0.0/8.</li><li>At most 3 tokens in total.</li>" in html
        assert "&quot;max_uses&quot;" in html
    assert "3 of 3, here and below" in text_of(opened(auditor, forest.root))
    assert "1 of 3, here and below" in text_of(opened(auditor, forest.leaf))


def test_page_when_nothing_is_limited_then_no_count_is_shown(forest, auditor):
    assert "here and below" not in text_of(opened(auditor, forest.root))


def test_page_when_its_pair_is_blocked_then_it_says_so(forest, auditor):
    revocation.subtree(forest.middle, audit.RequestContext(), reason="x")
    assert "Blocked for this user and client" in text_of(opened(auditor, forest.middle))
    assert "Blocked for this user and client" not in text_of(opened(auditor, forest.leaf))


def test_page_when_there_are_very_many_children_then_the_first_are_shown_in_as_many_queries(
    forest, auditor
):
    def cost():
        with CaptureQueriesContext(connection) as captured:
            response = opened(auditor, forest.middle)
        return len(captured), response

    cost()
    few, _ = cost()
    add_children(forest.middle, 10_100)
    many, response = cost()
    assert many <= few + 1
    found = response.context["tree"]
    assert len(found.children) == tree.CHILDREN
    assert found.is_cut
    assert found.below == limits.MAX_COUNT
    html = text_of(response)
    assert f"and at least {limits.MAX_COUNT - tree.CHILDREN} more" in html
    assert f"{LIST}?parent={forest.middle.public_id}" in html
    assert len(html) < 100_000


def test_page_when_some_children_have_ended_then_the_others_come_first(forest, auditor):
    add_children(forest.middle, 2)
    newest = Delegation.objects.filter(parent=forest.middle).first()
    revocation.subtree(newest, audit.RequestContext(), reason="x")
    states = [node.state for node in opened(auditor, forest.middle).context["tree"].children]
    assert states == ["live", "live", "revoked"]


def test_list_when_filtered_by_where_it_was_made_from_then_the_others_are_gone(forest, auditor):
    root, middle, leaf = forest.root, forest.middle, forest.leaf
    other = Story(forest.story.world, forest.story.world.bob).tokens()
    assert other
    bobs = Delegation.objects.get(subject=f"user:{forest.story.world.bob.pk}")
    assert listed(auditor, **{"from": "roots"}) == {root.pk, bobs.pk}
    assert listed(auditor, **{"from": "chained"}) == {middle.pk, leaf.pk}
    assert listed(auditor, parent=root.public_id) == {middle.pk}
    assert listed(auditor, root=root.public_id) == {root.pk, middle.pk, leaf.pk}
    grant = "urn:ietf:params:oauth:grant-type:token-exchange"
    assert listed(auditor, grant=grant) == {middle.pk, leaf.pk}


def test_list_when_a_link_led_there_then_it_says_of_what_it_is(forest, auditor):
    html = text_of(auditor.get(LIST, {"parent": forest.root.public_id}))
    assert "alice → Web" in html
    assert "children of this one" in html
    assert "children of this one" not in text_of(auditor.get(LIST))


@pytest.mark.parametrize(
    "value", ["", "1", "x", "00000000-0000-0000-0000-000000000000", "' or 1=1 --"]
)
@pytest.mark.parametrize("name", ["parent", "root"])
def test_list_when_the_id_is_none_then_nothing_is_listed(forest, auditor, name, value):
    # All that a list shows can be selected and revoked
    assert listed(auditor, **{name: value}) == set()


@pytest.mark.parametrize("name", ["parent", "root"])
def test_list_when_the_id_holds_a_nul_then_the_request_is_refused(forest, auditor, name):
    response = auditor.get(LIST, {name: "\x00"})
    assert response.status_code == 400
    assert response.context.get("cl") is None


def test_list_when_opened_then_depth_is_marked(forest, auditor):
    html = text_of(auditor.get(LIST))
    assert re.findall(r'field-level">([^<]*)<', html) == ["↳ 2", "↳ 1", "-"]


def test_revoke_when_it_was_handed_on_then_it_says_what_that_binds(forest, operator):
    html = text_of(operator.get(page("delegation", "revoke", forest.middle.pk)))
    assert "2 delegations are revoked" in html
    assert "Service-A cannot obtain read:metrics, write:alerts of alice at Service B" in html
    assert "until the user allows it again on a page, or an operator lifts the block" in html
    root = text_of(operator.get(page("delegation", "revoke", forest.root.pk)))
    assert "3 delegations are revoked" in root
    assert "Web cannot obtain" in root


def test_revoke_when_it_was_handed_on_then_its_client_gets_no_other(forest, operator):
    data = {"reason": "odd calls"}
    url = page("delegation", "revoke", forest.middle.pk)
    response = operator.post(url, data, follow=True)
    assert "2 delegations ended." in text_of(response)
    assert forest.live() == [True, False, False]
    assert forest.story.exchange(forest.answers[0]["access_token"]).status_code == 400
    [event] = AuditEvent.objects.filter(event="delegation.revoked")
    assert event.details == {"delegations": 2}

    assert "It was revoked already." in text_of(operator.post(url, data, follow=True))
    assert AuditEvent.objects.filter(event="delegation.revoked").count() == 1


def test_bulk_when_asked_about_then_it_says_that_they_stay_ended(forest, operator):
    data = {"action": "revoke_selected", "_selected_action": [forest.middle.pk]}
    html = text_of(operator.post(LIST, data))
    assert "obtain the same again" in html
    assert "until the user allows it again on a page" in html
