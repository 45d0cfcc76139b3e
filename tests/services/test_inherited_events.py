"""The trail of a delegation has its end, also where one above it was chosen."""

import csv
from io import StringIO

import pytest
from django.core.management import call_command

from delegation_app.models import AuditEvent
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.reporting.audit_query import AuditQuery
from tests.admin.conftest import Forest, browser, page, text_of

ABOVE = "Delegation revoked, above it"
OPERATOR = audit.RequestContext(actor="user:77", request_id="0123456789abcdef")


@pytest.fixture
def forest(story):
    return Forest(story)


def of(row, **changes):
    return list(AuditQuery(delegation=row.public_id, **changes).events.all())


def run(*arguments):
    out = StringIO()
    call_command("audit", *map(str, arguments), stdout=out)
    return out.getvalue()


def timeline(user, row):
    return text_of(user.get(page("delegation", "change", row.pk)))


@pytest.mark.parametrize("top", ["root", "middle"])
def test_trail_when_one_above_was_revoked_then_it_has_that_end(forest, top):
    revocation.subtree(getattr(forest, top), OPERATOR, reason="stolen laptop")
    end = AuditEvent.objects.get(event="delegation.revoked")

    assert of(forest.leaf)[0] == end
    assert next(AuditQuery(about=str(forest.leaf.public_id)).events.all()) == end
    told = run("--delegation", forest.leaf.public_id).splitlines()[-1]
    assert "stolen laptop" in told
    assert f"above it, delegation {getattr(forest, top).public_id}" in told
    out = run("--delegation", forest.leaf.public_id, "--export", "csv")
    exported = list(csv.DictReader(StringIO(out, newline="")))
    assert exported[0]["event"] == "delegation.revoked"
    assert exported[0]["delegation"] == str(getattr(forest, top).public_id)


def test_list_when_one_above_was_revoked_then_the_line_says_so(forest):
    revocation.subtree(forest.root, OPERATOR, reason="stolen laptop")
    user = browser("superuser")
    address = page("auditevent", "changelist")
    assert ABOVE in text_of(user.get(address, {"q": str(forest.leaf.public_id)}))
    for query in (str(forest.root.public_id), OPERATOR.request_id):
        html = text_of(user.get(address, {"q": query}))
        assert "Delegation revoked" in html
        assert ABOVE not in html


def test_trail_when_it_had_ended_before_then_no_second_end_is_told(forest):
    revocation.subtree(forest.leaf, OPERATOR, reason="first")
    revocation.subtree(forest.root, OPERATOR, reason="second")

    assert [event.reason for event in of(forest.leaf, event="delegation.revoked")] == ["first"]
    assert [event.reason for event in of(forest.middle, event="delegation.revoked")] == ["second"]
    user = browser("superuser")
    assert ABOVE not in timeline(user, forest.leaf)
    assert ABOVE in timeline(user, forest.middle)


def test_trail_when_one_above_was_narrowed_then_only_within_its_life(forest):
    def narrow(row, scope):
        narrowing = Narrowing(scope=Scope(scope.split()))
        creation.narrow(row, narrowing, audit.RequestContext(), reason=f"to {scope}")

    revocation.subtree(forest.leaf, audit.RequestContext(), reason="x")
    narrow(forest.root, "read:metrics")

    def told(row):
        return [event.reason for event in of(row, event="delegation.narrowed")]

    assert told(forest.middle) == ["to read:metrics"]
    assert told(forest.leaf) == []


def test_trail_when_a_narrowing_above_left_nothing_then_it_is_told_with_the_end(story, forest):
    child = forest.leaf
    creation.narrow(
        child, Narrowing(scope=Scope(["write:alerts"])), audit.RequestContext(), reason="own"
    )
    left = Narrowing(scope=Scope(["read:metrics"]))
    creation.narrow(forest.root, left, OPERATOR, reason="from the top")

    assert [event.reason for event in of(child)[:2]] == [
        "from the top",
        "nothing was left when it was narrowed",
    ]


def test_trail_when_nothing_happened_above_then_a_root_and_a_child_have_their_own(forest):
    for row in (forest.root, forest.middle, forest.leaf):
        assert {event.delegation_id for event in of(row)} == {row.pk}
