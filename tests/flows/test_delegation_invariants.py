"""What holds because a delegation is the record and a token only a view of it."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from delegation_app.models import (
    AccessToken,
    AuditEvent,
    AuthorizationCode,
    ConsentRecord,
    Delegation,
    RefreshToken,
)
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import InvalidToken
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from delegation_app.services.tokens import local_verifier
from tests.support.world import SERVICE_A, claims_of, delegation_of

OPERATOR = audit.RequestContext("user:99")
INACTIVE = {"active": False}


@pytest.fixture
def held(story):
    """What web holds of alice."""
    return Held(story)


class Held:
    def __init__(self, story):
        self.story = story
        self.tokens = story.tokens()
        self.delegation = delegation_of(self.tokens)


def verifies(token):
    """Whether a service in this process takes the token."""
    try:
        local_verifier.verify(token, SERVICE_A)
    except InvalidToken:
        return False
    return True


def assert_dead(story, tokens):
    """Every door is shut."""
    assert story.introspect(tokens["access_token"]).json() == INACTIVE
    assert story.introspect(tokens["refresh_token"], story.world.web).json() == INACTIVE
    assert not verifies(tokens["access_token"])
    refused = story.refresh(tokens["refresh_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


@pytest.mark.conformance("DG-01")
def test_rows_when_made_by_any_grant(story):
    tokens = story.tokens()
    story.refresh(tokens["refresh_token"])
    story.client_credentials()
    by_person, by_itself = Delegation.objects.order_by("id")
    assert (by_person.grant_type, by_itself.grant_type) == (
        "authorization_code",
        "client_credentials",
    )
    assert by_person.codes.count() == 1
    assert by_person.access_tokens.count() == by_person.refresh_tokens.count() == 2
    assert (by_itself.access_tokens.count(), by_itself.refresh_tokens.count()) == (1, 0)
    assert by_itself.principal_client == by_itself.delegate == story.world.cron.row
    assert by_itself.subject == "client:cron"


@pytest.mark.conformance("DG-01")
@pytest.mark.parametrize("model", [AccessToken, RefreshToken, AuthorizationCode])
def test_row_when_it_has_no_delegation(held, model):
    row = model.objects.order_by("id").first()
    row.pk, row._state.adding, row.delegation = None, True, None
    unique = "jti" if model is AccessToken else "digest"
    setattr(row, unique, "made-up")
    if model is RefreshToken:
        row.predecessor = None
    with pytest.raises(IntegrityError, match=r"(?i)not.null"), transaction.atomic():
        row.save()


@pytest.mark.conformance("DG-02")
def test_delegation_when_opened(story):
    delegation = delegation_of(story.tokens(scopes=["read:metrics"]))
    assert delegation.principal_user == story.world.alice
    assert delegation.subject == f"user:{story.world.alice.pk}"
    assert (delegation.delegate, delegation.delegate_client_id) == (story.world.web.row, "web")
    assert str(delegation.scopes) == "read:metrics"
    assert str(delegation.audience) == SERVICE_A
    assert delegation.constraints == Constraints()
    assert delegation.grant_type == "authorization_code"
    assert delegation.consent == ConsentRecord.objects.get()
    assert delegation.metadata == {}
    assert delegation.expires_at - delegation.issued_at == pytest.approx(
        timedelta(days=90), abs=timedelta(seconds=5)
    )


@pytest.mark.conformance("DG-03", "DG-04")
def test_revocation_when_done(story):
    tokens, code = story.tokens(), story.code()
    first, second = Delegation.objects.order_by("id")
    assert revocation.subtree(second, OPERATOR, reason="stolen") == 1
    refused = story.redeem(code)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert verifies(tokens["access_token"])
    assert revocation.subtree(first, OPERATOR, reason="stolen") == 1
    assert_dead(story, tokens)


@pytest.mark.conformance("DG-03")
def test_revocation_when_done_twice(held):
    assert revocation.subtree(held.delegation, OPERATOR, reason="first") == 1
    before = Delegation.objects.values().get()
    assert revocation.subtree(held.delegation, audit.RequestContext("user:1"), reason="second") == 0
    assert Delegation.objects.values().get() == before
    assert AuditEvent.objects.filter(event="delegation.revoked").count() == 1


@pytest.mark.conformance("DG-07")
def test_delegation_when_its_time_is_over(story, clock):
    story.world.web.change(delegation_lifetime=300, access_token_lifetime=3600)
    tokens, code = story.tokens(), story.code(prompt="consent")
    clock.forward(seconds=300)
    assert_dead(story, tokens)
    assert story.redeem(code).json()["error"] == "invalid_grant"
    assert not AuditEvent.objects.filter(event="delegation.revoked").exists()
    assert Delegation.objects.filter(revoked_at=None).count() == 2
    assert Delegation.objects.live().count() == 0


@pytest.mark.conformance("DG-13")
def test_delegation_id_when_told(held):
    told = claims_of(held.tokens["access_token"])["delegation_id"]
    assert uuid.UUID(told).version == 4
    assert told == held.story.introspect(held.tokens["access_token"]).json()["delegation_id"]
    assert told != str(held.delegation.pk)
    other = delegation_of(held.story.tokens(prompt="consent"))
    assert str(other.public_id)[:8] != told[:8]


def test_delegation_when_it_would_contradict_itself(held):
    wrong = [
        {"principal_client": held.story.world.web.row},
        {"depth": 1},
        {"expires_at": held.delegation.issued_at},
        {"revoked_at": timezone.now()},
        {"revoked_by": "somebody"},
    ]
    for values in wrong:
        with pytest.raises(IntegrityError), transaction.atomic():
            Delegation.objects.update(**values)
