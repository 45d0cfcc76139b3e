"""A proposal that many decide at once is decided once."""

from functools import partial

import pytest

from delegation_app.models import AuditEvent, ProposedChange
from tests.admin.conftest import browser, page
from tests.admin.test_clients import filled_in
from tests.admin.test_policy import PREFIX, save, url_of
from tests.races.crowd import Crowd
from tests.support import SecureClient

pytestmark = [pytest.mark.race, pytest.mark.many_connections]
ROUNDS = 10
SIZE = 8


@pytest.fixture
def crowd(transactional_db):
    gathered = Crowd(SIZE)
    yield gathered
    gathered.go_home()


def sessions(role, count):
    """The same operator in several browsers."""
    first = browser(role)
    made = [SecureClient() for _ in range(count)]
    for client in made:
        client.cookies = first.cookies
    return first, made


def count(event):
    return AuditEvent.objects.filter(event=event).count()


def test_proposal_when_approved_and_rejected_at_once_then_one_decision_counts(
    world, crowd, settings
):
    settings.DELEGATION = {**settings.DELEGATION, "SECOND_OPERATOR": True}
    operator = browser("operator")
    _first, others = sessions("superuser", SIZE)
    for number in range(ROUNDS):
        world.web.change(may_impersonate=False)
        save(operator, world.web, may_impersonate="on")
        row = ProposedChange.objects.latest("pk")
        names = ["reject" if each % 4 == number % 4 else "approve" for each in range(SIZE)]
        calls = [
            partial(client.post, page("proposedchange", name, row.pk), {"reason": "x"})
            for client, name in zip(others, names, strict=True)
        ]
        assert {answer.status_code for answer in crowd.rush(*calls)} == {302}
        row.refresh_from_db()
        assert row.state in {"approved", "rejected"}
        assert world.web.policy.may_impersonate == (row.state == "approved")
    assert count("change.approved") + count("change.rejected") == ROUNDS
    assert count("client.changed") == count("change.approved")


def test_proposal_when_the_client_is_narrowed_beside_the_approval_then_that_is_not_undone(
    world, crowd, settings
):
    settings.DELEGATION = {**settings.DELEGATION, "SECOND_OPERATOR": True}
    operator, second = browser("operator"), browser("superuser")
    scopes = world.web.policy.scopes
    for _ in range(ROUNDS):
        world.web.change(may_impersonate=False, scopes=scopes)
        save(operator, world.web, may_impersonate="on")
        row = ProposedChange.objects.latest("pk")
        data = filled_in(operator, url_of(world.web)) | {f"{PREFIX}scopes": "read:metrics"}
        crowd.rush(
            partial(second.post, page("proposedchange", "approve", row.pk), {"reason": "x"}),
            partial(operator.post, url_of(world.web), data),
        )
        row.refresh_from_db()
        # Either the approval came first and the narrowing, which would take it back, applies to
        # what it found; or it is stale. The scopes are narrow in both cases.
        assert str(world.web.policy.scopes) == "read:metrics"
        assert row.state in {"approved", "stale"}
