"""The page that explains a refusal, and keeps what was pasted to itself."""

import logging
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from delegation_app.models import AuditEvent, ClientPolicy
from delegation_app.services.audit import RequestContext
from delegation_app.services.delegations import revocation
from tests.admin.conftest import page, text_of
from tests.support.world import claims_of, delegation_of

WHY = "/admin/delegation_app/auditevent/why/"


def test_why_when_a_token_is_pasted_then_its_steps_are_told_and_the_token_is_nowhere(
    forest, auditor, caplog
):
    ClientPolicy.objects.filter(application__client_id="web").update(enabled=False)
    before = AuditEvent.objects.count()
    token = forest.answers[2]["access_token"]
    with caplog.at_level(logging.DEBUG), CaptureQueriesContext(connection) as captured:
        response = auditor.post(WHY, {"text": token})
    html = text_of(response)
    assert "The token is refused. web is disabled." in html
    assert html.count("audit-failed") == 1
    assert page("delegation", "change", forest.leaf.pk) in html
    assert (
        page("auditevent", "change", AuditEvent.objects.get(jti=claims_of(token)["jti"]).pk) in html
    )
    assert "no-store" in response["Cache-Control"]
    for part in (token, token.split(".")[1], token.split(".")[2]):
        assert part not in html
        assert part not in caplog.text
        assert not any(part in query["sql"] for query in captured)
    assert AuditEvent.objects.count() == before


def test_why_when_an_opaque_secret_is_pasted_then_no_statement_has_it(story, auditor):
    tokens = story.tokens()
    for secret in (tokens["refresh_token"], "x" * 43, "z" * 54):
        with CaptureQueriesContext(connection) as captured:
            html = text_of(auditor.post(WHY, {"text": secret}))
        assert secret not in html
        assert not any(secret in query["sql"] for query in captured)


def test_why_when_it_is_a_request_then_its_events_are_linked_with_the_detail(story, auditor):
    story.redeem("wrong")
    event = AuditEvent.objects.get(outcome="refused")
    html = text_of(auditor.post(WHY, {"text": event.request_id}))
    assert "The request was refused with invalid_grant" in html
    assert event.details["detail"] in html
    assert page("auditevent", "change", event.pk) in html


def test_why_when_a_delegation_is_named_then_it_is_judged_and_linked(forest, auditor):
    html = text_of(auditor.post(WHY, {"text": f" {forest.leaf.public_id} "}))
    assert "The delegation is live" in html
    assert page("delegation", "change", forest.leaf.pk) in html
    revocation.subtree(forest.root, RequestContext(actor="user:1"), reason="broken into")
    html = text_of(auditor.post(WHY, {"text": str(forest.leaf.public_id)}))
    assert "All tokens of the delegation are refused. Revoked on" in html
    assert "broken into" in html
    assert "This server has no record" in text_of(auditor.post(WHY, {"text": str(uuid.uuid4())}))


def test_why_when_nothing_is_known_then_it_says_where_else_to_look(auditor):
    assert "This server has no record" in text_of(auditor.post(WHY, {"text": "nobody-knows"}))


def test_why_when_only_opened_or_asked_by_address_then_nothing_is_explained(story, auditor):
    jti = claims_of(story.tokens()["access_token"])["jti"]
    response = auditor.get(WHY, {"text": jti})
    assert jti not in text_of(response)
    assert "audit-finding" not in text_of(response)
    assert 'autocomplete="off"' in text_of(response)


@pytest.mark.parametrize("text", ["", "x" * 9000])
def test_why_when_it_can_not_be_read_then_it_says_so_and_does_not_repeat_it(auditor, text):
    html = text_of(auditor.post(WHY, {"text": text}))
    assert "errorlist" in html
    assert "x" * 50 not in html


def test_why_when_a_client_has_markup_in_its_id_then_it_is_escaped(story, auditor):
    row = delegation_of(tokens := story.tokens())
    nasty = "<script>alert(1)</script>"
    type(row).objects.update(delegate_client_id=nasty, revoked_at=row.issued_at, revoked_by=nasty)
    html = text_of(auditor.post(WHY, {"text": tokens["access_token"]}))
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html
