"""A person's own scripts: the pages' services as JSON."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delegation_app.models import ConsentRecord, Delegation
from delegation_app.services.connections.listing import PAGE
from tests.services.test_connections import copies
from tests.support.answers import nothing_stored, recorded
from tests.support.api import ALL_OF_MINE, MINE, did, got, mine, refused
from tests.support.broken_database import failing
from tests.support.chains import last_event
from tests.support.world import Story, delegation_of, make_app


def later(days):
    return (timezone.now() + timedelta(days=days)).isoformat()


def test_list_when_apps_act(chain, story):
    told = got(story.browser, MINE)
    (row,) = told["connections"]
    assert told["next"] is None
    assert row["delegation_id"] == str(chain.rows[0].public_id)
    assert (row["app"], row["state"], row["services"]) == ("Web", "live", ["Service A"])
    assert {"name": "read:metrics", "description": "Read metrics"} in row["scopes"]
    assert (row["live_tokens"], row["sub_delegations"]) == (3, 2)
    assert row["last_used_from"] == "127.0.x.x"
    for name in ("granted_at", "expires_at", "last_used_at"):
        assert row[name].endswith("Z")


def test_list_when_filtered(chain, story, world):
    mobile = delegation_of(story.tokens(world.mobile))
    old = timezone.now() - timedelta(days=100)
    Delegation.objects.filter(pk=mobile.pk).update(issued_at=old, last_used_at=None)

    def apps(**query):
        return [row["app"] for row in got(story.browser, MINE, **query)["connections"]]

    assert apps() == ["Web", "Mobile"]
    assert apps(unused_days=90) == apps(show="unused") == ["Mobile"]
    assert apps(unused_days=101) == []
    assert apps(app="web") == ["Web"]
    did(story.browser, mine(mobile, "end"))
    assert (apps(), apps(show="all")) == (["Web"], ["Web", "Mobile"])
    refused(story.browser.get(MINE, {"show": "all", "unused_days": 3}), "invalid_request")


def test_pages_when_there_are_many(story, world):
    row = delegation_of(story.tokens())
    made = copies(row, 40)
    for number, copy in enumerate(made):
        app = make_app(f"app{number}", grants=(), audiences=[]).row
        Delegation.objects.filter(pk=copy.pk).update(delegate=app, delegate_client_id=app.client_id)
    seen, cost, query = [], set(), {}
    while True:
        with CaptureQueriesContext(connection) as captured:
            page = got(story.browser, MINE, **query)
        cost.add(len(captured))
        seen += [row["delegation_id"] for row in page["connections"]]
        if page["next"] is None:
            break
        query = {"cursor": page["next"]}
    with CaptureQueriesContext(connection) as captured:
        assert len(got(story.browser, MINE, limit=1)["connections"]) == 1
    # However many there are on a page; one without tokens needs no look at their events
    assert max(cost) == len(captured) <= 12
    newest = Delegation.objects.order_by("-issued_at", "-pk").values_list("public_id", flat=True)
    assert seen == [str(key) for key in newest]
    assert len(seen) > PAGE


def test_one_when_asked(chain, story):
    root, child, leaf = (str(row.public_id) for row in chain.rows)
    told = got(story.browser, mine(chain.rows[0]))
    assert told["connection"]["delegation_id"] == told["root_id"] == root
    assert [node["delegation_id"] for node in told["tree"]] == [root, child, leaf]
    assert [node["parent_id"] for node in told["tree"]] == [None, root, child]
    assert [scope["name"] for scope in told["answer"]["granted"]] == [
        "read:metrics",
        "write:alerts",
    ]
    assert told["timeline"][-1]["text"] == "Web was connected."
    ending = told["ending"]
    assert (ending["connections"], ending["sub_delegations"], ending["access_tokens"]) == (1, 2, 3)
    assert ending == got(story.browser, mine(chain.rows[0], "end"))
    below = got(story.browser, mine(chain.rows[1]))
    assert (below["passed_on_by"], below["ending"]["sub_delegations"]) == ("Web", 2)


def test_narrow_when_scopes_are_kept_and_it_ends_earlier(chain, story, world):
    ends = later(3)
    with recorded("delegation.narrowed"):
        told = did(
            story.browser, mine(chain.rows[0], "narrow"), scopes=["read:metrics"], expires_at=ends
        )
    assert [scope["name"] for scope in told["connection"]["scopes"]] == ["read:metrics"]
    event = last_event(event="delegation.narrowed")
    assert event.actor == f"user:{world.alice.pk}"
    rows = Delegation.objects.all()
    assert {str(row.scopes) for row in rows} == {"read:metrics"}
    assert {row.expires_at.isoformat() for row in rows} == {ends}
    # The app goes on with the rest
    assert story.refresh(chain.answers[0]["refresh_token"]).json()["scope"] == "read:metrics"


def test_end_when_asked(chain, story, world):
    with recorded("delegation.revoked"):
        told = did(story.browser, mine(chain.rows[0], "end"), reason="lost my phone")
    assert told == {"ended": 3}
    assert chain.active() == [False, False, False]
    event = last_event(event="delegation.revoked")
    assert (event.actor, event.reason) == (f"user:{world.alice.pk}", "lost my phone")
    with nothing_stored(), recorded():
        assert did(story.browser, mine(chain.rows[0], "end")) == {"ended": 0}


def test_everything_when_confirmed(chain, story, world):
    story.tokens(world.mobile)
    bobs = Story(world, world.bob).tokens()
    told = got(story.browser, ALL_OF_MINE)
    assert (told["ending"]["connections"], told["ending"]["access_tokens"]) == (2, 4)
    assert did(story.browser, ALL_OF_MINE, confirm=told["confirm"]) == {"ended": 4}
    assert not ConsentRecord.objects.filter(user=world.alice, withdrawn_at=None).exists()
    assert story.is_active(bobs["access_token"])


def test_everything_when_the_preview_is_old(chain, story, clock):
    confirm = got(story.browser, ALL_OF_MINE)["confirm"]
    clock.forward(minutes=61)
    assert did(story.browser, ALL_OF_MINE, status=409, confirm=confirm)["error"]


@pytest.mark.parametrize("statement", [1, 4])
def test_database_when_it_fails(chain, story, statement):
    for answer in (
        lambda: story.browser.get(MINE),
        lambda: story.browser.post(mine(chain.rows[0], "end"), "{}", "application/json"),
    ):
        with failing(statement):
            refused(answer(), "temporarily_unavailable", 503)
    assert chain.active() == [True, True, True]
