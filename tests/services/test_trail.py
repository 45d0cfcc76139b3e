"""Every filter of the trail, page by page, against what plain Python keeps of the same events."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from delegation_app.models import AuditEvent
from delegation_app.services import audit
from delegation_app.services.paging import Cursor, InvalidCursor
from delegation_app.services.reporting import audit_export, audit_query
from delegation_app.services.reporting.audit_query import AuditQuery
from tests.support.world import delegation_of

START = datetime(2026, 11, 3, 14, 0, tzinfo=UTC)


@pytest.fixture
def events(db):
    """Thirty, five of them at each of six moments."""
    return AuditEvent.objects.bulk_create(
        AuditEvent(
            event="token.issued" if number % 3 else "request.refused",
            outcome="done" if number % 3 else "refused",
            occurred_at=START + timedelta(minutes=number // 5),
            actor=f"client:app{number % 2}",
            subject=f"user:{number % 4}",
            client_id_value=f"app{number % 2}",
            jti=f"{number:027}",
            reason="" if number % 3 else "invalid_grant",
            request_id=f"request-{number}",
            details={"endpoint": "/oauth/token"} if number % 3 == 0 else {},
        )
        for number in range(30)
    )


def leafed(asked, size=4):
    """All pages from the newest on, and all the way back."""
    pages = [asked.page(size)]
    while pages[-1].older:
        pages.append(asked.page(size, pages[-1].older))
    back = [pages[-1]]
    while back[-1].newer:
        back.append(asked.page(size, back[-1].newer))
    assert [page.rows for page in back[:-1]] == [page.rows for page in pages[:0:-1]]
    assert back[-1].rows == pages[0].rows
    return [event.pk for page in pages for event in page.rows]


@pytest.mark.parametrize(
    ("asked", "keeps"),
    [
        (AuditQuery(), lambda e: True),
        (AuditQuery(event="token.issued"), lambda e: e.event == "token.issued"),
        (AuditQuery(outcome="refused", reason="invalid_grant"), lambda e: e.outcome == "refused"),
        (AuditQuery(actor="app1"), lambda e: e.actor == "client:app1"),
        (AuditQuery(subject="user:3"), lambda e: e.subject == "user:3"),
        (AuditQuery(client_id="app0"), lambda e: e.client_id_value == "app0"),
        (AuditQuery(request_id="request-7"), lambda e: e.request_id == "request-7"),
        (AuditQuery(jti=f"{9:027}"), lambda e: e.jti == f"{9:027}"),
        (AuditQuery(endpoint="token"), lambda e: e.outcome == "refused"),
        (AuditQuery(endpoint="revoke"), lambda e: False),
        (AuditQuery(about="app1"), lambda e: e.client_id_value == "app1"),
        (AuditQuery(about="user:2"), lambda e: e.subject == "user:2"),
        (
            AuditQuery(since=START + timedelta(minutes=1), until=START + timedelta(minutes=3)),
            lambda e: 5 <= int(e.jti) < 15,
        ),
        (AuditQuery(subject="user:1", event="token.issued", actor="app1"), lambda e: (
            e.subject == "user:1" and e.event == "token.issued"
        )),
    ],
    ids=lambda value: "".join(value.as_details()) or "all" if isinstance(value, AuditQuery) else "",
)  # fmt: skip
def test_trail_when_leafed_through_then_each_event_comes_once_and_newest_first(
    events, asked, keeps
):
    expected = [event.pk for event in reversed(events) if keeps(event)]
    assert leafed(asked) == expected
    assert [event.pk for event in asked.events.all(batch=3)] == expected


def test_trail_when_events_come_while_somebody_reads_then_the_next_page_is_the_same(events):
    first = AuditQuery().page(4)
    AuditEvent.objects.create(event="x", outcome="done", occurred_at=START + timedelta(hours=1))
    second = AuditQuery().page(4, first.older)
    assert [event.pk for event in second.rows] == [event.pk for event in events[25:21:-1]]
    assert AuditQuery().page(4, second.newer).newer


def test_trail_when_a_person_is_named_then_it_is_by_user_name_or_subject(story):
    delegation = delegation_of(story.tokens())
    named = leafed(AuditQuery(subject="alice"))
    assert named
    assert named == leafed(AuditQuery(subject=f"user:{story.world.alice.pk}"))
    assert leafed(AuditQuery(subject="ali")) == []
    about = leafed(AuditQuery(about=str(delegation.public_id)))
    consent = AuditEvent.objects.get(event="consent.granted").pk
    assert set(about) == {*leafed(AuditQuery(delegation=delegation.public_id)), consent}


@pytest.mark.parametrize("text", ["", "o1", "o1-", "x1-1", "o-1-1", "o1-1 ", "o1-1'", "o\u0661-1",
                                  "o" + "9" * 18 + "-1", "o1-" + "9" * 19])  # fmt: skip
def test_cursor_when_it_is_no_place_then_it_is_refused(text):
    with pytest.raises(InvalidCursor):
        Cursor.parse(text)


def test_cursor_when_a_bit_of_it_is_flipped_then_it_is_refused_or_another_place(events):
    text = str(AuditQuery().page(4).older)
    for place in range(len(text)):
        for bit in range(7):
            flipped = text[:place] + chr(ord(text[place]) ^ 1 << bit) + text[place + 1 :]
            try:
                cursor = Cursor.parse(flipped)
            except InvalidCursor:
                continue
            assert str(cursor).lstrip("on").split("-")[1] == str(int(flipped.split("-")[1]))


def test_export_when_it_begins_then_it_is_on_record_before_a_row_leaves(events):
    rows = audit_query.export(
        AuditQuery(client_id="app1"), audit.RequestContext(actor="user:1"), "csv"
    )
    recorded = AuditEvent.objects.get(event="audit.exported")
    assert recorded.actor == "user:1"
    assert recorded.details == {"format": "csv", "filter": {"client_id": "app1"}}
    assert [row.pk for row in rows] == [
        e.pk for e in reversed(events) if e.pk % 2 == events[1].pk % 2
    ]


def test_export_when_there_is_ten_times_as_much_then_no_more_is_read_at_once(events):
    with CaptureQueriesContext(connection) as captured:
        rows = AuditQuery().events.all(batch=10)
        next(rows)
        assert len(captured) == 1
        assert sum(1 for _ in rows) == 29
    assert len(captured) == 4


@pytest.mark.parametrize("nasty", ["=1+1", "+1", "-2", "@SUM(A1)", "  =1", "\t=1", "\uff1d1"])
def test_csv_when_a_value_is_a_formula_then_a_spreadsheet_reads_text(db, nasty):
    event = AuditEvent.objects.create(event="x", outcome="done", reason=nasty, jti="-abc")
    head, row = csv.reader(io.StringIO("".join(audit_export.lines([event], "csv"))))
    told = dict(zip(head, row, strict=True))
    assert told["reason"][0] in "'\\"
    assert told["jti"] == "'-abc"


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_lines_when_values_would_move_a_cursor_then_they_are_escaped(db, form):
    nasty = "a\r\nb\x1b[2J\x9b2J\u202e\u2028"
    event = AuditEvent.objects.create(
        event="x", outcome="done", reason=nasty, details={"detail": nasty, "\x1b": [nasty]}
    )
    text = "".join(audit_export.lines([event], form))
    assert not set(text) & set("\x1b\x9b\u202e\u2028")
    if form == "ndjson":
        assert text.count("\n") == 1
        assert json.loads(text)["details"]["detail"] == nasty
    else:
        assert text.count("\r\n") == text.count("\n") == 2
