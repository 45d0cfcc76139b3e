"""The number of statements does not grow with the number of rows."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delegation_app.admin.base import BoundedPaginator
from delegation_app.models import AuditEvent, ConsentRecord, Delegation, DelegationBlock
from delegation_app.services.paging import Cursor, SignedCursors
from tests.admin.conftest import page
from tests.support.world import make_app

pytestmark = pytest.mark.compat

YEAR = timezone.timedelta(days=365)


def add(world, count, start=0):
    """Delegations, each of another person to another client, with a consent and an event."""
    now = timezone.now()
    for number in range(start, start + count):
        user = get_user_model().objects.create(username=f"person{number}")
        row = make_app(f"app{number}", grants=(), audiences=[world.service_a]).row
        consent = ConsentRecord.objects.create(
            request_digest=f"{number}",
            user=user,
            subject=f"user:{user.pk}",
            client=row,
            client_id_value=row.client_id,
            client_name=row.name,
            decision="granted",
            decided_at=now,
        )
        delegation = Delegation.objects.create(
            principal_user=user,
            subject=f"user:{user.pk}",
            delegate=row,
            delegate_client_id=row.client_id,
            scopes="read:metrics",
            audience="https://service-a.example.com",
            grant_type="authorization_code",
            consent=consent,
            issued_at=now,
        )
        DelegationBlock.objects.create(
            cause="revoked",
            subject=delegation.subject,
            client_id_value=row.client_id,
            scopes="read:metrics",
            audience="https://service-a.example.com",
            delegation=delegation,
            blocked_at=now,
            blocked_by=delegation.subject,
        )
        AuditEvent.objects.create(
            event="delegation.created",
            outcome="done",
            actor=f"user:{user.pk}",
            subject=f"user:{user.pk}",
            client_id_value=row.client_id,
            delegation=delegation,
        )


def statements(client, url, /, **query):
    # Django remembers content types per process, so the first request may cost more.
    client.get(url, query)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url, query).status_code == 200
    return len(captured)


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("delegation", {}),
        ("delegation", {"state": "live"}),
        ("delegation", {"state": "suspended"}),
        ("delegation", {"q": "person"}),
        ("delegation", {"from": "roots"}),
        ("delegation", {"client": "app1"}),
        ("delegation", {"children": "no", "used": "never", "age": "day"}),
        ("delegation", "second page"),
        ("delegation", {"root": "00000000-0000-0000-0000-000000000000"}),
        ("consentrecord", {}),
        ("consentrecord", {"q": "person"}),
        ("delegationblock", {}),
        ("delegationblock", {"q": "person", "lifted": "no"}),
        ("auditevent", {}),
        ("auditevent", {"q": "person"}),
    ],
)
def test_list_when_there_are_ten_times_the_rows_then_the_statements_are_the_same(
    world, operator, model, query
):
    url = page(model, "changelist")
    if query == "second page":
        query = {"at": SignedCursors("admin", {}).text(Cursor(timezone.now() + YEAR, 1))}
    add(world, 5)
    few = statements(operator, url, **query)
    add(world, 45, start=5)
    assert statements(operator, url, **query) == few
    # Blocks are compared with what users have allowed since; a name may be a deleted user's
    assert few <= 12 + ("lifted" in query) + (model == "delegationblock" and "q" in query)


def test_detail_when_much_hangs_on_it_then_the_statements_are_the_same(story, operator):
    tokens = story.tokens()
    url = page("delegation", "change", Delegation.objects.get().pk)
    few = statements(operator, url)
    for _ in range(10):
        tokens = story.refresh(tokens["refresh_token"]).json()
    assert statements(operator, url) == few
    assert few <= 22


def test_bulk_when_many_are_selected_then_asking_costs_the_same(world, operator):
    def ask(rows):
        data = {"action": "revoke_selected", "_selected_action": [row.pk for row in rows]}
        with CaptureQueriesContext(connection) as captured:
            assert operator.post(page("delegation", "changelist"), data).status_code == 200
        return len(captured)

    add(world, 50)
    rows = list(Delegation.objects.all())
    assert ask(rows) == ask(rows[:5])


def test_list_when_there_are_more_rows_than_are_counted_then_it_says_so(
    world, operator, monkeypatch
):
    monkeypatch.setattr(BoundedPaginator, "MOST", 3)
    add(world, 5)
    html = operator.get(page("consentrecord", "changelist")).content.decode()
    assert "Showing only the first 3 consent records." in html
