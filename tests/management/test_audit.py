import csv
import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from delegation_app.management.commands import audit as command
from delegation_app.management.console.follow import WINDOW, Follower
from delegation_app.models import AuditEvent
from delegation_app.services.reporting.audit_query import AuditQuery
from tests.support.world import claims_of, delegation_of

pytestmark = pytest.mark.compat


def run(*arguments):
    out = StringIO()
    call_command("audit", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_audit_when_asked_then_the_newest_is_last_and_each_is_a_line(story):
    story.tokens()
    lines = run().splitlines()
    assert len(lines) == AuditEvent.objects.count()
    assert "token.issued" in lines[-1]
    assert "consent.granted" in lines[0]
    assert run("--limit", 1).splitlines() == lines[-1:]


def test_audit_when_filtered_then_scripts_get_the_same_as_json(story):
    tokens = story.tokens()
    jti = claims_of(tokens["access_token"])["jti"]
    [told] = map(json.loads, run("--json", f"--jti={jti}").splitlines())
    assert (told["event"], told["jti"]) == ("token.issued", jti)
    assert told["delegation"] == str(delegation_of(tokens).public_id)
    assert run("--json", f"--jti=-{jti[2:]}") == ""
    for filters in (["alice"], ["--user", "alice"], ["--client", "web"], ["--last", "1h"]):
        assert jti in run("--json", *filters)
    assert run("--last", "1h", "--until", "2020-01-01") == ""


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_audit_when_exported_then_all_of_it_comes_and_the_export_is_on_record(story, form):
    story.tokens()
    before = AuditEvent.objects.filter(client_id_value="web").count()
    out = run("--export", form, "--client", "web")
    if form == "csv":
        told = [row["event"] for row in csv.DictReader(StringIO(out, newline=""))]
    else:
        told = [json.loads(line)["event"] for line in out.splitlines()]
    assert len(told) == before
    recorded = AuditEvent.objects.get(event="audit.exported")
    assert recorded.actor == "system"
    assert recorded.request_id.startswith("manage.")
    with pytest.raises(CommandError, match="filters only"):
        run("--export", form, "--json")


def test_follower_when_an_event_is_committed_late_then_it_is_told_once(db, clock):
    def event(**age):
        return AuditEvent.objects.create(
            event="x", outcome="done", occurred_at=clock() - timedelta(**age)
        )

    follower = Follower(AuditQuery(event="x"), clock() - timedelta(hours=1))
    first = event(seconds=5)
    assert list(follower.news()) == [first]
    clock.forward(seconds=10)
    # Written before the first, seen after it
    late, newest = event(seconds=30), event(seconds=0)
    assert list(follower.news()) == [late, newest]
    assert list(follower.news()) == []
    clock.forward(hours=1)
    between = event(minutes=30)
    assert list(follower.news()) == [between]
    clock.forward(seconds=WINDOW.total_seconds() + 1)
    assert list(follower.news()) == []
    assert follower._seen == {}


def test_audit_when_followed_then_what_comes_is_told_until_somebody_stops_it(story, monkeypatch):
    story.client_credentials()

    def pause(_seconds):
        if AuditEvent.objects.filter(client_id_value="web").exists():
            raise KeyboardInterrupt
        story.tokens()

    monkeypatch.setattr(command.time, "sleep", pause)
    lines = run("--follow", "--json", "--event", "token.issued").splitlines()
    assert [json.loads(line)["client_id"] for line in lines] == ["cron", "web"]


def test_audit_when_a_value_would_move_the_cursor_then_it_is_escaped(db):
    AuditEvent.objects.create(
        event="x", outcome="done", actor="a\x1b]0;title\x07", details={"detail": "\x9b2J\nforged"}
    )
    out = run()
    assert out.count("\n") == 1
    assert not set(out) & set("\x1b\x07\x9b")
    assert "\\x9b2J\\x0aforged" in out


def test_audit_when_a_name_does_not_exist_then_it_is_said_beside_the_output(story, capsys):
    story.tokens()
    call_command("audit", "--actor", "ali")
    told = capsys.readouterr()
    assert told.out == ""
    assert "There is no user or client with the name or id ali" in told.err
    assert "Did you mean alice?" in told.err
    call_command("audit", "--actor", "bob")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--since", "0001-01-01T00:00:00+23:59"],
        ["--until", "9999-12-31T23:59:59-23:59"],
        ["--actor", "\x00"],
        ["a\x00b"],
        ["--client", "\udcff"],
        ["--interval", "nan"],
        ["--interval", "inf"],
        ["--interval", "-1"],
    ],
)
def test_audit_when_a_value_is_hostile_then_it_says_so(db, arguments):
    with pytest.raises(CommandError):
        run(*arguments)


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("filters", [["--jti=" + "x" * 27], ["--request", "a" * 16]])
def test_audit_when_nothing_is_found_then_people_are_told_and_scripts_get_nothing(db, filters):
    for err, options, said in (
        (Terminal(), [], "Nothing found."),
        (Terminal(), ["--json"], ""),
        (StringIO(), [], ""),
    ):
        out = StringIO()
        call_command("audit", *filters, *options, stdout=out, stderr=err)
        assert (out.getvalue(), err.getvalue().strip()) == ("", said)
