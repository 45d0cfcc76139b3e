"""The audit trail as a list to leaf through, and as a file."""

import csv
import io
import json

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext

from delegation_app.admin.audit import admin as audit_admin
from delegation_app.models import AuditEvent
from tests.admin.conftest import page, person, text_of
from tests.support import SecureClient

LIST = "/admin/delegation_app/auditevent/"
EXPORT = f"{LIST}export/"


@pytest.fixture
def exporter(db):
    """An auditor who may also export."""
    user = person("auditor")
    user.user_permissions.add(Permission.objects.get(codename="export_auditevent"))
    client = SecureClient()
    client.force_login(user)
    return client


def shown(response):
    return [event.pk for event in response.context["events"]]


def test_list_when_leafed_through_then_older_and_newer_lead_through_all_of_it(
    story, auditor, monkeypatch
):
    monkeypatch.setattr(audit_admin, "_PER_PAGE", 2)
    story.tokens()
    expected = list(AuditEvent.objects.order_by("-pk").values_list("pk", flat=True))
    response, found = auditor.get(LIST, {"range": "hour"}), []
    assert 'rel="prev"' not in text_of(response)
    while True:
        found += shown(response)
        if not (older := response.context["page"]["older"]):
            break
        response = auditor.get(LIST, {"range": "hour", "at": older})
        assert "range=hour&amp;at=" in text_of(response)
    assert found == expected
    assert 'rel="next"' not in text_of(response)
    assert '<a href="?range=hour">Newest</a>' in text_of(response)
    response = auditor.get(LIST, {"range": "hour", "at": response.context["page"]["newer"]})
    assert shown(response) == expected[-4:-2]


@pytest.mark.parametrize(
    "query",
    ["at=x", "at=o1-1%27%20OR%201=1", "range=year", "from=yesterday", "delegation=1",
     "event=made-up", "outcome=x", "q=%00", f"q={'x' * 301}", "to=99999-01-01T00:00"],
)  # fmt: skip
def test_list_when_the_query_is_forged_then_400_with_the_reason_and_no_rows(story, auditor, query):
    story.tokens()
    response = auditor.get(f"{LIST}?{query}")
    assert response.status_code == 400
    assert shown(response) == []
    assert "error" in text_of(response)


def test_list_when_opened_then_nothing_is_counted(story, auditor):
    story.tokens()
    auditor.get(LIST)
    with CaptureQueriesContext(connection) as captured:
        auditor.get(LIST, {"q": "alice", "range": "day"})
    assert len(captured) <= 12
    assert not any("COUNT(" in query["sql"] for query in captured)


def test_detail_when_opened_then_it_can_be_taken_as_json(story, auditor):
    story.tokens()
    event = AuditEvent.objects.get(event="token.issued")
    html = auditor.get(page("auditevent", "change", event.pk))
    address = page("auditevent", "json", event.pk)
    assert f'href="{address}"' in text_of(html)
    told = auditor.get(address)
    assert told["Content-Type"] == "application/json"
    assert told.json()["jti"] == event.jti
    assert json.loads(html.context["as_json"]) == told.json()


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_export_when_asked_then_the_filtered_rows_come_and_it_is_on_record(story, exporter, form):
    story.tokens()
    story.redeem("wrong")
    response = exporter.post(EXPORT, {"format": form, "event": "token.issued", "q": "web"})
    assert response.streaming
    assert response["Content-Disposition"].endswith(f'.{form}"')
    [recorded] = AuditEvent.objects.filter(event="audit.exported")
    assert recorded.details == {
        "format": form,
        "filter": {"event": "token.issued", "about": "web"},
    }
    assert recorded.request_id
    text = b"".join(response.streaming_content).decode()
    if form == "csv":
        [row] = csv.DictReader(io.StringIO(text, newline=""))
        assert json.loads(row["details"]) == AuditEvent.objects.get(event="token.issued").details
    else:
        row = json.loads(text)
    assert (row["event"], row["client_id"]) == ("token.issued", "web")


def test_export_when_somebody_only_views_then_there_is_no_button_and_403(story, auditor):
    story.tokens()
    assert "NDJSON" not in text_of(auditor.get(LIST))
    assert auditor.post(EXPORT, {"format": "csv"}).status_code == 403
    assert not AuditEvent.objects.filter(event="audit.exported").exists()


@pytest.mark.parametrize("data", [{"format": "xml"}, {}, {"format": "csv", "event": "made-up"}])
def test_export_when_it_is_no_such_then_400_and_nothing_is_recorded(story, exporter, data):
    assert exporter.post(EXPORT, data).status_code == 400
    assert not AuditEvent.objects.filter(event="audit.exported").exists()


def test_export_when_the_csrf_token_is_missing_then_403(story, csrf_client, django_user_model):
    csrf_client.force_login(django_user_model.objects.create_superuser("root"))
    assert csrf_client.post(EXPORT, {"format": "csv"}).status_code == 403


@pytest.mark.parametrize("name", ["q", "actor", "subject"])
def test_list_when_a_person_does_not_exist_then_it_says_so(story, auditor, name):
    story.tokens()
    html = text_of(auditor.get(LIST, {name: "ali"}))
    assert "There is no user or client with the name or id ali" in html
    assert "Did you mean alice?" in html
    assert "No events match" not in html


def test_list_when_what_is_asked_for_exists_then_there_is_no_such_event(story, auditor):
    story.tokens()
    assert "Did you mean web?" in text_of(auditor.get(LIST, {"client": "Web"}))
    for query in ({"actor": "bob"}, {"client": "cron"}, {"q": "no-id-of-anything"}):
        assert "No events match" in text_of(auditor.get(LIST, query))


def test_list_when_the_reader_sees_only_the_trail_then_no_name_is_told(story):
    story.tokens()
    user = person("staff")
    user.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    client = SecureClient()
    client.force_login(user)
    html = text_of(client.get(LIST, {"actor": "ali"}))
    assert "There is no user or client with the name or id ali" in html
    assert "alice" not in html
