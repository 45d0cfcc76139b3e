"""Revoking all that a filtered list holds, batch by batch."""

import pytest
from django.core import signing
from django.utils.html import strip_tags

from delegation_app.models import Delegation
from delegation_app.services import limits
from delegation_app.services.delegations import bulk
from tests.admin.conftest import browser, events, page, text_of
from tests.admin.test_queries import add
from tests.support.world import Story, delegation_of

LIST = page("delegation", "changelist")
BULK = page("delegation", "bulk")


def asked(client, query):
    response = client.get(f"{BULK}?{query}")
    assert response.status_code == 200
    return response


def begun(client, query, reason="clean up"):
    """Answer the question, and return the page after the first batches."""
    [(_name, task)] = asked(client, query).context["confirmation"].hidden
    return client.post(BULK, {"task": task, "reason": reason})


def gone_on(client, response):
    return client.post(BULK, {"task": response.context["task"]})


def words(response):
    return " ".join(strip_tags(response.content.decode()).split())


def standing():
    return set(Delegation.objects.filter(revoked_at=None).values_list("pk", flat=True))


@pytest.fixture
def small_batches(monkeypatch):
    """A batch of two, and one of them at a time."""
    monkeypatch.setattr(limits, "MAX_BATCH", 2)
    monkeypatch.setattr(bulk, "SECONDS", 0)


def test_bulk_when_a_list_is_filtered_then_a_button_leads_to_the_question(world, operator):
    add(world, 3)
    assert BULK not in text_of(operator.get(LIST))
    html = text_of(operator.get(f"{LIST}?client=app1"))
    assert f'href="{BULK}?client=app1"' in html
    question = text_of(asked(operator, "client=app1"))
    assert "1 delegation matches." in question
    assert "client: app1" in question
    assert "It cannot be undone." in question
    assert len(standing()) == 3


def test_bulk_when_confirmed_then_exactly_the_filtered_end_with_what_was_made_from_them(
    forest, operator
):
    world = forest.story.world
    kept = delegation_of(Story(world, world.bob).tokens(world.other))
    question = text_of(asked(operator, "client=web&from=roots"))
    assert "3 delegations are revoked, with all their tokens." in question
    assert "Affects 3 clients and 1 user." in question
    assert "Offline verifiers stop within 6 seconds" in question
    done = begun(operator, "client=web&from=roots")
    assert done.context["is_over"]
    assert "3 delegations revoked so far. No matching delegations remain." in words(done)
    assert standing() == {kept.pk}
    [event] = events("delegation.revoked")
    assert (event.delegation_id, event.reason) == (forest.root.pk, "clean up")


def test_bulk_when_interrupted_and_repeated_then_each_ends_once(world, operator, small_batches):
    add(world, 5)
    first = begun(operator, "state=live")
    assert "2 delegations revoked so far. 3 remain." in words(first)
    add(world, 1, start=5)
    later = Delegation.objects.latest("pk")
    second = gone_on(operator, first)
    assert "4 delegations revoked so far. 1 remains." in words(second)
    # The page before, sent once more
    again = gone_on(operator, first)
    assert (again.context["ended"], again.context["is_over"]) == (3, True)
    last = gone_on(operator, second)
    assert (last.context["ended"], last.context["is_over"]) == (4, True)
    assert standing() == {later.pk}
    assert len(events("delegation.revoked")) == 5


def test_bulk_when_begun_anew_after_an_interruption_then_only_what_is_left_ends(
    world, operator, small_batches
):
    add(world, 3)
    begun(operator, "used=never")
    assert "1 delegation matches." in text_of(asked(operator, "used=never"))
    assert begun(operator, "used=never").context["is_over"]
    assert standing() == set()


def test_bulk_when_the_table_is_read_in_parts_then_all_of_them_are(
    world, operator, small_batches, monkeypatch
):
    monkeypatch.setattr(limits, "MAX_SCANNED", 2)
    add(world, 7)
    response = begun(operator, "used=never")
    for _ in range(7):
        if response.context["is_over"]:
            break
        response = gone_on(operator, response)
    assert response.context["ended"] == 7
    assert standing() == set()


@pytest.mark.parametrize(
    "query", ["", "x=1", "q=", "client=", "at=x"], ids=["none", "other", "q", "client", "place"]
)
def test_bulk_when_there_is_no_filter_then_it_asks_for_one(world, operator, query):
    add(world, 1)
    response = operator.get(f"{BULK}?{query}", follow=True)
    assert response.redirect_chain == [(LIST, 302)]
    assert "revoking all delegations of the site is not possible here" in text_of(response)


@pytest.mark.parametrize(
    "query", ["state=bogus", "parent=", "root=x", "used=-1", "from=&client=app0"]
)
def test_bulk_when_a_filter_makes_no_sense_then_nothing_is_chosen(world, operator, query):
    add(world, 1)
    assert operator.get(f"{LIST}?{query}").context["cl"].result_list == []
    response = operator.get(f"{BULK}?{query}", follow=True)
    assert "All of it had ended already." in text_of(response)


def test_bulk_when_the_reason_is_missing_then_it_asks_again(world, operator):
    add(world, 1)
    response = begun(operator, "client=app0", reason=" ")
    assert "errorlist" in text_of(response)
    assert len(standing()) == 1


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: "x", lambda text: ""])
def test_bulk_when_the_task_was_tampered_with_then_400_and_nothing_ends(world, operator, change):
    add(world, 1)
    [(_name, task)] = asked(operator, "client=app0").context["confirmation"].hidden
    response = operator.post(BULK, {"task": change(task), "reason": "x"})
    assert response.status_code == 400
    assert len(standing()) == 1


def test_bulk_when_another_version_signed_the_task_then_400(operator):
    for said in ([], {"task": {}}, {"task": {"position": None, "chosen": {"no": 1}}}):
        task = signing.dumps(
            said, salt="delegation_app.admin.delegations.revoke_list", compress=True
        )
        assert operator.post(BULK, {"task": task, "reason": "x"}).status_code == 400


def test_bulk_when_another_operator_goes_on_with_it_then_403_and_nothing_ends(world, operator):
    add(world, 1)
    [(_name, task)] = asked(operator, "client=app0").context["confirmation"].hidden
    response = browser("superuser").post(BULK, {"task": task, "reason": "x"})
    assert response.status_code == 403
    assert len(standing()) == 1


def test_bulk_when_an_auditor_looks_then_there_is_no_button(world, auditor):
    add(world, 1)
    assert BULK not in text_of(auditor.get(f"{LIST}?client=app0"))
