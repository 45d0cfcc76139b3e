import json
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from delegation_app.management.commands import delegations
from delegation_app.models import AuditEvent, Delegation
from delegation_app.services import limits
from tests.support.world import delegation_of

pytestmark = pytest.mark.compat


class Run:
    """What a command said."""

    def __init__(self, *arguments):
        out, err = StringIO(), StringIO()
        call_command("delegations", *map(str, arguments), stdout=out, stderr=err)
        self.out, self.err = out.getvalue(), err.getvalue()

    @property
    def json(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def tree(story):
    """Web for alice, handed on to A's client; and cron for itself."""
    first = story.tokens()
    second = story.exchange(first["access_token"]).json()
    story.client_credentials()
    return delegation_of(first), delegation_of(second)


@pytest.mark.parametrize(
    ("filters", "clients"),
    [
        ([], {"web", "service-a", "cron"}),
        (["--user", "alice"], {"web", "service-a"}),
        (["--user", "client:cron"], {"cron"}),
        (["--client", "web"], {"web"}),
        (["--scope", "write:alerts"], {"web", "service-a", "cron"}),
        (["--scope", "write"], set()),
        (["--state", "live", "--client", "web"], {"web"}),
        (["--state", "revoked"], set()),
        (["--older-than", "1h"], set()),
        (["--grant-type", "client_credentials"], {"cron"}),
    ],
)
def test_list_when_filtered_then_only_those_are_told(tree, filters, clients):
    assert {row["client_id"] for row in Run("list", "--json", *filters).json} == clients
    lines = Run("list", *filters).out.splitlines()
    assert lines[0].startswith("ID ")
    assert len(lines) == 1 + len(clients)


def test_list_when_there_are_more_then_it_says_so_beside_the_output(tree):
    run = Run("list", "--limit", "1")
    assert len(run.out.splitlines()) == 2
    assert "There are more." in run.err


def test_list_when_asked_for_a_time_then_it_tells_who_could_act_and_by_which_events(tree):
    now = timezone.now().isoformat()
    [child, root] = Run("list", "--as-of", now, "--user", "alice", "--json").json
    assert (root["could_act"], root["client_id"], child["via"]) == (
        "yes",
        "web",
        ["web", "service-a"],
    )
    assert [event["event"] for event in root["events"]] == ["delegation.created"]
    assert "delegation.chained #" in Run("list", "--as-of", now).out
    assert Run("list", "--as-of", "2020-01-01", "--json").json == []


def test_show_when_asked_then_the_tree_is_drawn_and_the_one_is_marked(tree):
    root, child = tree
    out = Run("show", child.public_id).out
    assert re.search(rf"^web \[live\] .*{root.public_id}$", out, re.MULTILINE)
    assert re.search(
        rf"^└─ service-a \[live\] .*{child.public_id}  <-- this one$", out, re.MULTILINE
    )
    [told] = Run("show", child.public_id, "--json").json
    assert [row["id"] for row in told["tree"]] == [str(root.public_id), str(child.public_id)]


def test_revoke_when_it_is_dry_then_it_says_what_would_end_and_ends_nothing(tree):
    run = Run("revoke", "--client", "web", "--dry-run")
    assert run.out.startswith("Dry run. 2 delegations end, with 2 live access tokens")
    assert "of 2 clients and 1 user." in run.out
    single = Run("revoke", "--client", "cron", "--dry-run").out
    assert "1 delegation ends, with 1 live access token and 0 refresh tokens, of 1 client" in single
    assert Delegation.objects.live().count() == 3


def test_revoke_when_filtered_then_what_is_below_ends_too_and_the_events_can_be_found(tree):
    [told] = Run("revoke", "--client", "web", "--reason", "odd", "--yes", "--json").json
    assert (told["matched"], told["ended"]) == (1, 2)
    assert Delegation.objects.live().get().delegate_client_id == "cron"
    event = AuditEvent.objects.get(event="delegation.revoked")
    assert (event.actor, event.reason, event.request_id) == ("system", "odd", told["request_id"])
    assert re.fullmatch(r"manage\.[A-Za-z0-9_-]+\.[0-9a-f]{16}", event.request_id)


def test_revoke_when_there_are_many_then_it_goes_in_batches_and_can_be_run_again(
    tree, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(limits, "MAX_BATCH", 1)
    Delegation.objects.filter(depth=0).update(issued_at=timezone.now() - timedelta(days=100))
    Run("revoke", "--older-than", "90d", "--reason", "old", "--yes")
    assert not Delegation.objects.live().exists()
    assert AuditEvent.objects.filter(event="delegation.revoked").count() == 2
    with pytest.raises(CommandError, match="Nothing to revoke") as told:
        Run("revoke", "--older-than", "90d", "--reason", "old", "--yes")
    assert told.value.returncode == 3


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("answer", "live"), [("yes\n", 1), ("y\n", 3), ("", 3)])
def test_revoke_when_it_asks_then_only_yes_is_yes(tree, monkeypatch, answer, live):
    monkeypatch.setattr(delegations.Command, "stdin", Terminal(answer))
    if live == 3:
        with pytest.raises(CommandError, match="Nothing was changed") as told:
            Run("revoke", tree[0].public_id, "--reason", "x")
        assert told.value.returncode == 4
    else:
        assert "This cannot be undone." in Run("revoke", tree[0].public_id, "--reason", "x").err
    assert Delegation.objects.live().count() == live


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["revoke", "--reason", "x", "--yes"], "by id, or filter"),
        (["revoke", "--client", "web", "--yes"], "--reason is missing"),
        (["revoke", "--client", "web", "--reason", "x"], "requires a terminal, or --yes"),
        (["revoke", "--user", "nobody", "--reason", "x", "--yes"], "There is no user nobody"),
        (["list", "--user", "\x1b[2Jx"], r"There is no user \\x1b\[2Jx"),
        (["list", "--older-than", "ninety"], "is not an age"),
        (["list", "--as-of", "2026-13-01"], "is not a date"),
        (["list", "--as-of", "2999-01-01"], "in the future"),
        (["list", "--as-of", "2020-01-01", "--state", "live"], "goes with"),
        (["show", "x"], "is not a delegation id"),
        (["show", "00000000-0000-0000-0000-000000000000"], "There is no delegation"),
    ],
)
def test_command_when_it_can_not_be_done_then_it_says_why_and_nothing_changes(
    tree, arguments, message
):
    with pytest.raises(CommandError, match=message):
        Run(*arguments)
    assert Delegation.objects.live().count() == 3


def test_list_when_a_name_would_move_the_cursor_then_it_is_escaped(tree):
    Delegation.objects.update(delegate_client_id="a\x1b[2J\u202e")
    for run in (Run("list"), Run("show", tree[0].public_id)):
        assert "\\x1b[2J\\u202e" in run.out
        assert "\x1b" not in run.out


def test_progress_when_nobody_looks_then_there_is_none(tree, capsys):
    assert Run("revoke", "--client", "web", "--reason", "x", "--yes").err == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["list", "--client", "Web"], "There is no client with the id Web. Did you mean web?"),
        (["list", "--scope", "read:metric"], "Did you mean read:metrics?"),
        (["list", "--as-of", "2026-01-01", "--client", "Web"], "Did you mean web?"),
    ],
)
def test_list_when_a_name_does_not_exist_then_it_is_said_beside_the_output(
    tree, arguments, sentence
):
    run = Run(*arguments)
    assert sentence in run.err
    assert sentence not in run.out


@pytest.mark.parametrize("deed", ["list", "revoke"])
def test_user_when_mistyped_then_who_may_be_meant_is_named(tree, deed):
    with pytest.raises(CommandError, match=r"There is no user ali\. Did you mean alice\?"):
        Run(deed, "--user", "ali")


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--as-of", "0001-01-01T00:00:00+23:59"],
        ["list", "--as-of", "9999-12-31T23:59:59-23:59"],
        ["list", "--as-of", "0001-01-01"],
        ["list", "--user", "a\x00b"],
        ["list", "--client", "\udcff"],
        ["list", "--limit", "9" * 40],
        ["show", "\x00"],
        ["revoke", "--grant-type", "\x00", "--reason", "x"],
    ],
)
def test_command_when_a_value_is_hostile_then_it_says_so(tree, arguments):
    with pytest.raises(CommandError):
        Run(*arguments)
