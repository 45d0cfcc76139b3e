"""Operators' scripts: find delegations, look, narrow, revoke one or many."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delegation_app.models import Delegation
from delegation_app.services import limits
from tests.admin.conftest import browser
from tests.admin.test_queries import add
from tests.support import SecureClient
from tests.support.answers import each, nothing_stored, recorded
from tests.support.api import MANY, THEIRS, did, got, refused, theirs
from tests.support.broken_database import failing
from tests.support.chains import last_event
from tests.support.world import SERVICE_A, SERVICE_B, delegation_of


@pytest.fixture
def operator(db):
    return browser("operator")


def staff_with(*names):
    user = get_user_model().objects.create_user("-".join(names) or "nothing", is_staff=True)
    permissions = Permission.objects.filter(content_type__app_label="delegation_app")
    user.user_permissions.set(permissions.filter(codename__in=names))
    client = SecureClient()
    client.force_login(user)
    return client


def ids(told):
    return [row["delegation_id"] for row in told["delegations"]]


def test_list_when_filtered(chain, story, world, operator, clock):
    clock.forward(minutes=1)
    cron = delegation_of(story.client_credentials().json())
    root, child, leaf = chain.rows
    Delegation.objects.filter(pk=leaf.pk).update(expires_at=timezone.now())
    old = timezone.now() - timedelta(days=40)
    Delegation.objects.filter(pk=cron.pk).update(last_used_at=None)
    Delegation.objects.filter(pk=root.pk).update(issued_at=old, last_used_at=old)
    world.cron.change(enabled=False)
    day = timedelta(days=1)
    noon = timezone.now().isoformat().replace("+00:00", "Z")
    cases = [
        ({}, [cron, leaf, child, root]),
        ({"state": "live"}, [child, root]),
        ({"state": "suspended"}, [cron]),
        ({"state": "expired"}, [leaf]),
        ({"state": "revoked"}, []),
        ({"user": "alice"}, [leaf, child, root]),
        ({"user": "nobody"}, []),
        ({"subject": "client:cron"}, [cron]),
        ({"client": "service-a"}, [child]),
        ({"grant_type": "client_credentials"}, [cron]),
        ({"audience": SERVICE_A}, [cron, root]),
        ({"audience": SERVICE_B}, [child]),
        ({"audience": SERVICE_B[:-1]}, []),
        ({"issued_before": (timezone.now() - day).isoformat()}, [root]),
        ({"issued_after": (timezone.now() - day).isoformat()}, [cron, leaf, child]),
        ({"last_used_before": (timezone.now() - 30 * day).isoformat()}, [root]),
        ({"last_used_before": noon}, [leaf, child, root]),
        ({"parent_id": str(root.public_id)}, [child]),
        ({"root_id": str(root.public_id)}, [leaf, child, root]),
        ({"has_children": "true"}, [child, root]),
        ({"has_children": "false", "user": "alice"}, [leaf]),
    ]
    for query, rows in cases:
        with each(query):
            assert ids(got(operator, THEIRS, **query)) == [str(row.public_id) for row in rows]


def test_pages_when_there_are_many(world, operator):
    add(world, 12)
    # Several at the same moment
    Delegation.objects.filter(pk__gt=Delegation.objects.earliest("pk").pk + 4).update(
        issued_at=timezone.now()
    )
    got(operator, THEIRS)
    seen, cost, query = [], set(), {"limit": 5}
    while True:
        with CaptureQueriesContext(connection) as captured:
            page = got(operator, THEIRS, **query)
        cost.add(len(captured))
        seen += ids(page)
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    with CaptureQueriesContext(connection) as captured:
        got(operator, THEIRS, limit=100)
    assert cost == {len(captured)}
    assert cost.pop() <= 12
    newest = Delegation.objects.order_by("-issued_at", "-pk").values_list("public_id", flat=True)
    assert seen == [str(key) for key in newest]


def test_one_when_asked(chain, operator):
    root, child, leaf = (str(row.public_id) for row in chain.rows)
    limit = {"type": "max_uses", "uses": 3}
    with recorded("delegation.narrowed"):
        told = did(operator, theirs(chain.rows[1], "narrow"), constraints=[limit], reason="less")
    assert told["constraints"] == [limit]
    assert told == got(operator, theirs(chain.rows[1]))
    assert (told["delegation_id"], told["parent_id"], told["root_id"]) == (child, root, root)
    assert (told["depth"], told["chain"], told["max_uses"]) == (1, [root, child], 3)
    assert told["children"] == {"count": 1, "has_more": False}
    assert (told["user"], told["client"]["name"]) == ("alice", "Service-A")
    assert [actor["client_id"] for actor in told["actors"]] == ["service-a"]
    assert len(told["limits"]) == 1
    assert told["consent"]
    assert got(operator, theirs(chain.rows[2]))["chain"] == [root, child, leaf]


def test_narrow_when_asked(chain, operator):
    ends = (timezone.now() + timedelta(days=2)).isoformat()
    told = did(
        operator,
        theirs(chain.rows[0], "narrow"),
        scopes=["read:metrics"],
        audience=[SERVICE_A],
        expires_at=ends,
        reason="too much",
    )
    assert (told["scopes"], told["audience"]) == (["read:metrics"], [SERVICE_A])
    event = last_event(event="delegation.narrowed")
    operator_id = get_user_model().objects.get(username="operator").pk
    assert (event.actor, event.reason) == (f"user:{operator_id}", "too much")
    assert {str(row.scopes) for row in Delegation.objects.all()} == {"read:metrics"}
    with nothing_stored(), recorded():
        for members in (
            {"scopes": ["read:metrics"]}, {"expires_at": ends},
            {"constraints": [{"type": "no_such_limit"}]}, {"constraints": ["text"]},
            {"audience": [SERVICE_B]}, {"scopes": ["write:alerts"]},
        ):  # fmt: skip
            did(operator, theirs(chain.rows[0], "narrow"), status=400, reason="again", **members)


def test_revoke_when_looked_at_and_done(chain, operator):
    with nothing_stored():
        told = got(operator, theirs(chain.rows[1], "revoke"))
    assert (told["delegations"], told["access_tokens"], told["clients"]) == (2, 2, 2)
    assert told["people"] == 1
    with recorded("delegation.revoked"):
        ended = did(operator, theirs(chain.rows[1], "revoke"), reason="leak")
    assert ended == {"ended": 2}
    assert chain.active() == [True, False, False]
    assert chain.story.exchange(chain.tokens[0]).json()["error"] == "invalid_target"
    row = got(operator, theirs(chain.rows[1]))
    assert (row["state"], row["revocation_reason"]) == ("revoked", "leak")
    assert did(operator, theirs(chain.rows[1], "revoke"), reason="leak") == {"ended": 0}
    told = did(operator, theirs(chain.rows[0], "revoke"), status=400)
    assert told["error_description"] == "reason is missing."


def test_bulk_when_in_batches(world, story, operator):
    add(world, 7)
    kept = delegation_of(story.tokens())
    what = {"grant_type": "authorization_code", "issued_before": kept.issued_at.isoformat()}
    with nothing_stored():
        tried = did(operator, MANY, filter=what, limit=3)
    assert tried["remaining"] == {"count": 7, "has_more": False}
    assert (tried["next"]["delegations"], tried["dry_run"], tried["ended"]) == (3, True, 0)
    add(world, 1, start=50)
    Delegation.objects.filter(principal_user__username="person50").update(
        issued_at=kept.issued_at - timedelta(hours=1)
    )
    call = {"filter": what, "confirm": tried["confirm"], "dry_run": False, "reason": "old"}
    told = []
    for _ in range(4):
        batch = did(operator, MANY, limit=3, **call)
        told.append((batch["ended"], batch["remaining"]["count"]))
    assert told == [(3, 4), (3, 1), (1, 0), (0, 0)]
    standing = Delegation.objects.filter(revoked_at=None)
    assert {row.principal_user.username for row in standing} == {"alice", "person50"}
    assert last_event(event="delegation.revoked").reason == "old"


def test_bulk_when_it_finds_more_than_anybody_counts(world, operator, monkeypatch):
    add(world, 4)
    monkeypatch.setattr(limits, "MAX_COUNT", 3)
    tried = did(operator, MANY, filter={"state": "live"}, limit=1)
    assert tried["remaining"] == {"count": 3, "has_more": True}


def test_filter_when_one_look_does_not_reach_far_enough(world, operator, monkeypatch):
    add(world, 9)
    first, second, last = Delegation.objects.filter(
        principal_user__username__in=("person0", "person4", "person8")
    ).order_by("pk")
    rare = {"last_used_before": (timezone.now() - timedelta(days=30)).isoformat()}
    long_ago = timezone.now() - timedelta(days=60)
    Delegation.objects.filter(pk__in=(first.pk, second.pk, last.pk)).update(last_used_at=long_ago)
    monkeypatch.setattr(limits, "MAX_SCANNED", 2)
    pages = [got(operator, THEIRS, limit=2, **rare)]
    while pages[-1]["next"] is not None:
        pages.append(got(operator, THEIRS, limit=2, cursor=pages[-1]["next"], **rare))
    found = [one for page in pages for one in ids(page)]
    assert found == [str(row.public_id) for row in (last, second, first)]
    assert len(pages) > 2
    tried = did(operator, MANY, filter=rare)
    assert tried["remaining"] == {"count": 3, "has_more": False}
    call = {"filter": rare, "confirm": tried["confirm"], "dry_run": False, "reason": "idle"}
    told = [did(operator, MANY, limit=1, **call)["remaining"]["count"] for _ in range(3)]
    assert told == [2, 1, 0]


def test_bulk_when_told_to_end_what_expired(world, operator):
    add(world, 2)
    gone = Delegation.objects.first()
    long_ago = timezone.now() - timedelta(days=9)
    Delegation.objects.filter(pk=gone.pk).update(
        issued_at=long_ago, expires_at=long_ago + timedelta(days=1)
    )
    for what, count in (({"grant_type": "authorization_code"}, 1), ({"state": "expired"}, 1)):
        tried = did(operator, MANY, filter=what)
        assert tried["remaining"]["count"] == count
    call = {"filter": what, "confirm": tried["confirm"], "dry_run": False, "reason": "tidy"}
    assert did(operator, MANY, **call)["ended"] == 1
    gone.refresh_from_db()
    assert gone.revoked_at is not None


def test_bulk_when_a_tree_is_found(chain, operator):
    what = {"user": "alice"}
    tried = did(operator, MANY, filter=what)
    assert (tried["remaining"]["count"], tried["next"]["delegations"]) == (3, 3)
    call = {"filter": what, "confirm": tried["confirm"], "dry_run": False, "reason": "gone"}
    with recorded("delegation.revoked"):
        assert did(operator, MANY, limit=1, **call)["ended"] == 3
    assert chain.active() == [False, False, False]


def test_bulk_when_there_was_no_such_dry_run(chain, operator, clock):
    tried = did(operator, MANY, filter={"user": "alice"})
    good = {"dry_run": False, "reason": "x", "confirm": tried["confirm"]}
    with nothing_stored(), recorded():
        for what, changes, status in (
            ({"user": "alice"}, {"confirm": None}, 400), ({"user": "alice"}, {"confirm": "x"}, 409),
            ({"user": "bob"}, {}, 409), ({"user": "alice", "state": "live"}, {}, 409),
            ({"user": "alice"}, {"reason": ""}, 400), ({}, {}, 400), ({"no_such": "x"}, {}, 400),
        ):  # fmt: skip
            with each((what, changes)):
                did(operator, MANY, status=status, filter=what, **{**good, **changes})
        other = staff_with("view_delegation", "revoke_delegation")
        did(other, MANY, status=409, filter={"user": "alice"}, **good)
        clock.forward(minutes=61)
        did(operator, MANY, status=409, filter={"user": "alice"}, **good)


def test_permissions_when_somebody_has_one(chain, client, story):
    row = chain.rows[0]
    tried = did(browser("operator"), MANY, filter={"user": "alice"})
    deeds = {
        "look": lambda who: (who.get(THEIRS), who.get(theirs(row))),
        "revoke": lambda who: (
            who.get(theirs(row, "revoke")),
            _post(who, theirs(row, "revoke"), '{"reason": ""}'),
            _post(who, MANY, '{"filter": {"user": "bob"}}'),
        ),
        "narrow": lambda who: (_post(who, theirs(row, "narrow"), '{"reason": "x"}'),),
    }
    matrix = [
        (browser("superuser"), {"look", "revoke", "narrow"}),
        (browser("auditor"), {"look"}),
        (staff_with("view_delegation", "revoke_delegation"), {"look", "revoke"}),
        (staff_with("view_delegation", "narrow_delegation"), {"look", "narrow"}),
        (staff_with("revoke_delegation", "narrow_delegation"), set()),
        (staff_with(), set()),
        (story.browser, set()),
    ]
    with nothing_stored():
        for who, may in matrix:
            for name, deed in deeds.items():
                for answer in deed(who):
                    assert (answer.status_code in {200, 400}) == (name in may), (name, may)
                    if name not in may:
                        refused(answer, "access_denied", 403)
        for deed in deeds.values():
            for answer in deed(client):
                refused(answer, "not_signed_in", 401)
    assert tried["confirm"]


def test_database_when_it_fails(chain, operator):
    for statement in (1, 5, 9):
        with failing(statement, lasting=False):
            answer = _post(operator, theirs(chain.rows[0], "revoke"), '{"reason": "x"}')
        refused(answer, "temporarily_unavailable", 503)
    assert chain.active() == [True, True, True]


def _post(client, address, body):
    return client.post(address, body, content_type="application/json")
