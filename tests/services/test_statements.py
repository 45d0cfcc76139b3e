"""How many statements a request costs, transaction control included, whatever is on file."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delegation_app.models import AccessToken, AuditEvent, Delegation, RefreshToken
from delegation_app.protocol.secrets import digest, new_token_id
from delegation_app.services import audit, local_verifier, revoke
from tests.support.world import SERVICE_A, Story, build_world, delegation_of


def statements(act):
    with CaptureQueriesContext(connection) as captured:
        result = act()
    assert getattr(result, "status_code", 200) == 200, result.content
    return [query["sql"] for query in captured]


def crowd_the_tables(delegation, rows):
    """Put `rows` tokens under one delegation."""
    now = timezone.now()
    common = {
        "delegation": delegation,
        "scope": delegation.scopes,
        "audience": delegation.audience,
        "issued_at": now,
        "expires_at": now + timedelta(hours=1),
    }
    AccessToken.objects.bulk_create(
        [AccessToken(jti=new_token_id(), **common) for _ in range(rows)], batch_size=5000
    )


@pytest.fixture
def story(transactional_db):
    world = build_world()
    story = Story(world, world.alice)
    story.client_credentials(scope="read:metrics")
    story.introspect(story.tokens()["access_token"])
    return story


@pytest.mark.parametrize("rows", [1, 500])
def test_statements_when_requests_are_made_then_they_are_within_the_budget(story, rows):
    tokens = story.tokens()
    crowd_the_tables(delegation_of(tokens), rows)
    code = story.code()

    assert len(statements(lambda: story.client_credentials(scope="read:metrics"))) <= 6
    assert len(statements(lambda: story.redeem(code))) <= 9
    assert len(statements(lambda: story.refresh(tokens["refresh_token"]))) <= 9
    assert len(statements(lambda: story.introspect(tokens["access_token"]))) <= 3
    Delegation.objects.update(last_used_at=None)
    first = statements(lambda: local_verifier.verify(tokens["access_token"], SERVICE_A))
    second = statements(lambda: local_verifier.verify(tokens["access_token"], SERVICE_A))
    assert (len(first), len(second)) == (2, 1)


@pytest.mark.slow
def test_revocation_when_100_000_tokens_hang_on_it_then_two_rows_are_written(
    story,
):
    tokens = story.tokens()
    delegation = delegation_of(tokens)
    crowd_the_tables(delegation, 100_000)
    events = AuditEvent.objects.count()

    written = [
        sql
        for sql in statements(
            lambda: revoke.subtree(delegation, audit.Origin(actor="user:1"), reason="test") and None
        )
        if sql.startswith(("UPDATE", "INSERT", "DELETE"))
    ]

    assert len(written) == 2
    assert written[0].startswith('UPDATE "delegation_app_delegation"')
    assert written[1].startswith('INSERT INTO "delegation_app_auditevent"')
    assert AuditEvent.objects.count() == events + 1
    assert AccessToken.objects.filter(delegation=delegation, revoked_at=None).count() == 100_001
    assert not story.is_active(tokens["access_token"])
    used = RefreshToken.objects.get(digest=digest(tokens["refresh_token"]))
    assert used.consumed_at is None
    assert story.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
