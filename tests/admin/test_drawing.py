"""The tree as a drawing and the timeline, and what may not come through them."""

import xml.etree.ElementTree as ET

import pytest
from django.contrib.auth.models import Permission

from delegation_app.models import AuditEvent, Delegation
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from tests.admin.conftest import page, text_of
from tests.support import SecureClient
from tests.support import forest as woods
from tests.support.world import delegation_of

EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
SVG = "{http://www.w3.org/2000/svg}"


def change(row):
    return page("delegation", "change", row.pk)


def drawn(response):
    """The drawing, as a parser of XML reads it."""
    html = response.content.decode()
    text = html[html.index("<svg xmlns") :]
    return ET.fromstring(text[: text.index("</svg>") + 6])  # noqa: S314 - our own page


def test_drawing_when_a_tree_is_shown_then_each_box_has_its_shape_its_words_and_a_link(
    forest, operator
):
    revocation.subtree(forest.leaf, audit.RequestContext(), reason="x")
    svg = drawn(operator.get(change(forest.middle)))
    links = svg.findall(f"{SVG}a")
    assert [link.get("href") for link in links] == [
        change(row) for row in (forest.root, forest.middle, forest.leaf)
    ]
    assert [link.get("aria-current") for link in links] == [None, "true", None]
    says = [link.get("aria-label") for link in links]
    assert says[1].startswith("Service-A, for alice, live: ")
    assert says[2].startswith("Service-B, for alice, revoked: ")
    shapes = [
        link.find(f".//{SVG}g[@class='delegation-shape']/{SVG}path").get("d") for link in links
    ]
    assert shapes[0] == shapes[1] != shapes[2]


def test_drawing_when_there_is_one_box_then_there_is_none(story, operator):
    row = delegation_of(story.tokens())
    assert "delegation-drawing" not in text_of(operator.get(change(row)))


def test_drawing_when_there_are_a_thousand_children_then_the_first_are_shown(story, operator):
    row = delegation_of(story.tokens())
    client = story.world.service_a_client.row
    woods.grow(Delegation.objects.filter(pk=row.pk), 1000, client)
    response = operator.get(change(row))
    assert len(drawn(response).findall(f"{SVG}a")) == 51
    assert "and 950 more" in text_of(response)
    assert page("delegation", "changelist") + f"?parent={row.public_id}" in text_of(response)


def test_timeline_when_it_was_used_and_revoked_then_each_event_is_linked(story, operator):
    tokens = story.tokens()
    row = delegation_of(tokens)
    story.refresh(tokens["refresh_token"])
    revocation.subtree(row, audit.RequestContext(actor="user:77"), reason="stolen laptop")
    response = operator.get(change(row))
    html = text_of(response)
    texts = [moment.text for moment in response.context["timeline"]]
    for event in AuditEvent.objects.filter(delegation=row):
        assert page("auditevent", "change", event.pk) in html
    for number, word in {0: "Consent granted", 1: "Delegation created", -1: "revoked"}.items():
        assert word in str(texts[number])
    assert "stolen laptop" in html


def test_timeline_when_it_ended_with_what_is_above_then_that_event_is_in_it(forest, operator):
    revocation.subtree(forest.root, audit.RequestContext(), reason="from the top")
    html = text_of(operator.get(change(forest.leaf)))
    event = AuditEvent.objects.get(event="delegation.revoked")
    assert (
        f'<a href="{page("auditevent", "change", event.pk)}">Delegation revoked, above it</a>'
        in html
    )


def test_timeline_when_there_is_much_then_the_first_and_the_last_are_shown(story, operator):
    row = delegation_of(story.tokens())
    AuditEvent.objects.bulk_create(
        AuditEvent(event="token.refreshed", outcome="done", delegation=row) for _ in range(60)
    )
    response = operator.get(change(row))
    timeline = response.context["timeline"]
    assert [moment.gap for moment in timeline].index(True) == 14
    assert len(timeline) == 46
    assert f"/admin/delegation_app/auditevent/?q={row.public_id}" in text_of(response)


def test_timeline_when_the_trail_may_not_be_seen_then_the_record_tells(story, django_user_model):
    row = delegation_of(story.tokens())
    revocation.subtree(row, audit.RequestContext(), reason="x")
    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_delegation"))
    client = SecureClient()
    client.force_login(viewer)
    response = client.get(change(row))
    texts = [str(moment.text) for moment in response.context["timeline"]]
    assert texts == ["Consent answered", "Created", "Last used", "Revoked"]
    assert "/auditevent/" not in text_of(response)


@pytest.mark.parametrize("where", ["list", "object", "revoke", "bulk", "filter", "reason"])
def test_page_when_a_client_is_named_like_a_script_then_it_is_text(forest, operator, where):
    row = forest.middle.delegate
    type(row).objects.filter(pk=row.pk).update(name=EVIL)
    revocation.subtree(forest.leaf, audit.RequestContext(), reason=EVIL)
    urls = {
        "list": page("delegation", "changelist"),
        "object": change(forest.middle),
        "revoke": page("delegation", "revoke", forest.middle.pk),
        "bulk": page("delegation", "bulk") + "?client=service-a&q=service-a",
        "filter": page("delegation", "changelist")
        + "?client=%22%3E%3Cscript%3Ealert(1)&q=%3Cimg%20src=x",
        "reason": change(forest.leaf),
    }
    html = operator.get(urls[where]).content.decode()
    for evil in ("<script>alert", "<img src=x"):
        assert evil not in html
