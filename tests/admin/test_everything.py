"""Ending all of a person, of a client, or of the one at the other."""

import pytest
from django.contrib.auth.models import Permission

from delegation_app.models import Delegation
from tests.admin.conftest import events, page, text_of
from tests.support import SecureClient
from tests.support.world import Story


@pytest.fixture
def bobs(forest):
    """What Web holds of bob, and what A's client made of it; and alice's at another client."""
    world = forest.story.world
    bob = Story(world, world.bob)
    assert bob.exchange(bob.tokens()["access_token"]).status_code == 200
    forest.story.tokens(world.other)
    return forest


def standing():
    rows = Delegation.objects.live().order_by("pk")
    return [(row.principal_user.username, row.delegate_client_id) for row in rows]


ALICES = [("alice", "web"), ("alice", "service-a"), ("alice", "service-b")]
BOBS = [("bob", "web"), ("bob", "service-a")]
OTHER = [("alice", "other")]


@pytest.mark.parametrize(
    ("which", "whose", "left"),
    [
        ("root", "person", BOBS),
        ("root", "client", OTHER),
        ("root", "both", [*BOBS, *OTHER]),
        ("middle", "person", BOBS),
        ("middle", "client", [ALICES[0], BOBS[0], *OTHER]),
        ("middle", "both", [ALICES[0], *BOBS, *OTHER]),
    ],
)
def test_everything_when_confirmed_then_exactly_that_ends(bobs, operator, which, whose, left):
    assert standing() == [*ALICES, *BOBS, *OTHER]
    ends = 6 - len(left)
    record = getattr(bobs, which)
    url = page("delegation", "everything", record.pk, whose)
    change = page("delegation", "change", record.pk)
    assert f'href="{url}"' in text_of(operator.get(change))

    question = operator.get(url)
    assert f"{ends} delegations are revoked" in text_of(question)
    assert standing() == [*ALICES, *BOBS, *OTHER]
    assert "errorlist" in text_of(operator.post(url, {"reason": " "}))

    response = operator.post(url, {"reason": "stolen"}, follow=True)
    assert response.redirect_chain == [(change, 302)]
    assert f"{ends} delegations ended." in text_of(response)
    assert standing() == left
    recorded = events("delegation.revoked")
    assert {event.reason for event in recorded} == {"stolen"}
    assert {event.actor for event in recorded} == {f"user:{operator.session['_auth_user_id']}"}

    # Asked for once more, since a consent may be left where nothing is live
    assert "0 delegations are revoked" in text_of(operator.get(url))
    again = operator.post(url, {"reason": "again"}, follow=True)
    assert "All of it had ended already." in text_of(again)
    assert len(events("delegation.revoked")) == len(recorded)


def test_everything_when_there_is_one_tree_then_there_is_one_event(forest, operator):
    url = page("delegation", "everything", forest.leaf.pk, "person")
    operator.post(url, {"reason": "x"})
    [event] = events("delegation.revoked")
    assert event.delegation_id == forest.root.pk
    assert event.details == {"delegations": 3}


def test_everything_when_a_client_acts_for_itself_then_there_is_no_person(story, operator):
    story.client_credentials()
    row = Delegation.objects.get()
    html = text_of(operator.get(page("delegation", "change", row.pk)))
    for whose, status in (("person", 404), ("both", 404), ("client", 200), ("world", 404)):
        url = page("delegation", "everything", row.pk, whose)
        assert (url in html) is (status == 200)
        assert operator.get(url).status_code == status
    html = text_of(operator.get(page("delegation", "everything", row.pk, "client")))
    assert "Cron cannot obtain any delegation" in html
    operator.post(page("delegation", "everything", row.pk, "client"), {"reason": "x"})
    assert story.client_credentials().status_code == 400


def test_client_when_its_page_is_open_then_all_that_it_holds_can_be_revoked(bobs, operator):
    row = bobs.story.world.web.row
    change = page("application", "change", row.pk, app="oauth2_provider")
    url = page("delegation", "client", row.pk)
    html = text_of(operator.get(change))
    assert f'href="{url}"' in html
    assert 'href="/admin/delegation_app/delegation/?q=web"' in html
    assert "Revoke all delegations of the client Web?" in text_of(operator.get(url))
    response = operator.post(url, {"reason": "sold"}, follow=True)
    assert response.redirect_chain == [(change, 302)]
    assert "5 delegations ended." in text_of(response)
    assert standing() == OTHER


def test_client_when_somebody_only_views_then_there_is_a_list_and_no_deed(bobs, auditor):
    row = bobs.story.world.web.row
    html = text_of(auditor.get(page("application", "change", row.pk, app="oauth2_provider")))
    assert "/admin/delegation_app/delegation/?q=web" in html
    assert page("delegation", "client", row.pk) not in html


def test_client_when_the_site_hides_applications_then_one_comes_back_to_the_list(
    forest, django_user_model
):
    user = django_user_model.objects.create_user("half", is_staff=True)
    codes = ["revoke_delegation", "view_delegation"]
    user.user_permissions.set(Permission.objects.filter(codename__in=codes))
    client = SecureClient()
    client.force_login(user)
    url = page("delegation", "client", forest.story.world.web.row.pk)
    response = client.post(url, {"reason": "x"})
    assert response["Location"] == page("delegation", "changelist")
    assert standing() == []


@pytest.mark.parametrize("key", ["4711", "nobody", "9" * 30, "a\x00b", "%2F"])
def test_client_when_there_is_none_then_404(operator, key):
    assert operator.get(page("delegation", "client", key)).status_code == 404
    assert operator.post(page("delegation", "client", key), {"reason": "x"}).status_code == 404
