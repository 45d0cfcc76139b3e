"""`manage.py delegations`: list, show and revoke delegations without a browser.

Exit codes: 0 success; 1 failure, or incompatible options; 2 an invalid option; 3 nothing to
revoke; 4 not confirmed; 130 interrupted.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final, TextIO

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import ngettext

from delegation_app import clock
from delegation_app.management.console import arguments, output
from delegation_app.management.console import rows as console_rows
from delegation_app.management.console.origin import context
from delegation_app.models import Delegation
from delegation_app.services import limits, name_search, name_suggestions
from delegation_app.services.delegations import bulk, listing, state, tree
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.name_suggestions import VisibilityScope
from delegation_app.services.reporting import as_of
from delegation_app.services.reporting.audit_export import escaped

_NOTHING: Final = 3
_NOT_CONFIRMED: Final = 4
_INTERRUPTED: Final = 130


class Command(BaseCommand):
    """List, show and revoke."""

    # Reads the confirmation; replaced by tests
    stdin: TextIO = sys.stdin

    help = "Find delegations, show one as a tree, and revoke them with everything below them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="list|show|revoke")
        listing = actions.add_parser("list", help="list delegations, newest first")
        _add_filters(listing)
        listing.add_argument(
            "--as-of", type=arguments.moment, metavar="TIME", help="as they were at that time"
        )
        listing.add_argument("--limit", type=arguments.count, default=100)
        showing = actions.add_parser("show", help="show one, with its tree")
        showing.add_argument("id", type=arguments.public_id)
        ending = actions.add_parser("revoke", help="revoke some, with everything below them")
        ending.add_argument("id", nargs="*", type=arguments.public_id, default=[])
        _add_filters(ending)
        ending.add_argument("--reason", type=arguments.text, help="a sentence for the record")
        ending.add_argument(
            "--dry-run", action="store_true", help="only show what would be revoked"
        )
        ending.add_argument("--yes", action="store_true", help="do not ask for confirmation")
        for each in (listing, showing, ending):
            each.add_argument("--json", action="store_true", help="for scripts")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the subcommand."""
        try:
            match options["action"]:
                case "list":
                    self._list(options)
                case "show":
                    self._show(options)
                case _other:
                    self._revoke(options)
        except BrokenPipeError:
            return

    def _list(self, options: dict[str, Any]) -> None:
        if options["as_of"] is not None:
            self._list_as_of(options)
            return
        chosen, limit = _filter(options), options["limit"]
        everything = listing.iterate(
            chosen, _read(Delegation.objects.all()), min(limit + 1, limits.MAX_READ_BATCH)
        )
        rows = list(islice(everything, limit + 1))
        if options["json"]:
            self._lines(output.as_json(console_rows.members(row)) for row in rows[:limit])
        else:
            self._lines(output.table(console_rows.HEAD, map(console_rows.line, rows[:limit])))
        if not rows:
            self._unknown(chosen.unknown_names(VisibilityScope()))
        if len(rows) > limit:
            self.stderr.write(f"There are more. Filter them, or use --limit {limit * 10}.")

    def _list_as_of(self, options: dict[str, Any]) -> None:
        if options["state"] or options["older_than"] is not None or options["grant_type"]:
            raise CommandError("--as-of goes with --user, --client and --scope only.")
        if options["as_of"] > clock.now():
            raise CommandError("--as-of is in the future.")
        query = as_of.AsOfQuery(
            options["as_of"], _principal(options["user"]), options["client"], options["scope"]
        )
        result = as_of.who_could_act(query)
        if options["json"]:
            self._lines(output.as_json(console_rows.members_as_of(line)) for line in result.lines)
        else:
            self._lines(
                output.table(console_rows.HEAD_AS_OF, map(console_rows.line_as_of, result.lines))
            )
        if not result.lines:
            self._unknown(as_of.unknown_names(query, VisibilityScope()))
        if result.is_cut:
            self.stderr.write(f"Only the newest {as_of.MAX_ROWS} were checked. Filter them.")

    def _unknown(self, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            self.stderr.write(escaped(sentence))

    def _show(self, options: dict[str, Any]) -> None:
        row = self._find([options["id"]])[0]
        whole = tree.whole(row, _read(Delegation.objects.all()))
        if options["json"]:
            members = [console_rows.members(each) for each in whole.rows]
            self.stdout.write(output.as_json({**console_rows.members(row), "tree": members}))
            return
        facts = console_rows.members(row)
        self._lines(
            escaped(f"{name.replace('_', ' '):14}{output.plain(value)}")
            for name, value in facts.items()
            if value not in (None, "", [])
        )
        self._lines(["", *console_rows.tree(whole.nested(), row)])

    def _revoke(self, options: dict[str, Any]) -> None:
        chosen = _filter(options)
        if bool(options["id"]) == (chosen != DelegationFilter()):
            raise CommandError("Name delegations by id, or filter them; one of the two.")
        if not options["dry_run"] and not options["reason"]:
            raise CommandError("--reason is missing: a sentence for the record.")
        if options["id"]:
            chosen = DelegationFilter(
                ids=tuple(str(row.public_id) for row in self._find(options["id"]))
            )
        # Expired delegations need no revocation, unless they are named
        task = bulk.begin(chosen, skips_expired=not chosen.ids)
        matched = task.chosen.rows(task.started_at).count()
        if not matched:
            raise CommandError(
                "Nothing to revoke: no live or suspended delegation matches.", returncode=_NOTHING
            )
        self._end(task, matched, options)

    def _end(self, task: bulk.Task, matched: int, options: dict[str, Any]) -> None:
        if matched <= limits.MAX_PREVIEWED:
            words = console_rows.preview(bulk.outlook(task, is_full=True).next)
        else:
            words = f"{matched} delegations match, and everything below them ends too."
        result: dict[str, Any] = {"matched": matched, "dry_run": options["dry_run"], "ended": 0}
        if options["dry_run"]:
            self.stdout.write(output.as_json(result) if options["json"] else f"Dry run. {words}")
            return
        self._confirm(words, options)
        who, progress = context(), output.Progress(self.stderr, matched)
        try:
            for after in bulk.batches(task, who, reason=options["reason"]):
                task = after
                progress.at(min(task.ended, matched))
        except KeyboardInterrupt:
            text = f"Interrupted; {_ended(task.ended)} Run the command again to continue."
            raise CommandError(text, returncode=_INTERRUPTED) from None
        progress.close()
        result |= {"ended": task.ended, "request_id": who.request_id}
        text = f"{_ended(task.ended)} Events: request id {who.request_id}"
        self.stdout.write(output.as_json(result) if options["json"] else text)

    def _confirm(self, words: str, options: dict[str, Any]) -> None:
        if options["yes"]:
            return
        if not output.is_terminal(self.stdin):
            raise CommandError(
                "Confirmation requires a terminal, or --yes.", returncode=_NOT_CONFIRMED
            )
        self.stderr.write(f"{words} This cannot be undone. Type yes to continue: ", str, "")
        self.stderr.flush()
        if self.stdin.readline().strip() != "yes":
            raise CommandError("Nothing was changed.", returncode=_NOT_CONFIRMED)

    def _find(self, ids: list[Any]) -> list[Delegation]:
        rows = list(_read(Delegation.objects.filter(public_id__in=ids)))
        if missing := set(ids) - {row.public_id for row in rows}:
            raise CommandError(f"There is no delegation {min(missing)}.")
        return rows

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.stdout.write(line)


def _ended(count: int) -> str:
    text = ngettext("%(count)d delegation ended.", "%(count)d delegations ended.", count)
    return text % {"count": count}


def _add_filters(parser: ArgumentParser) -> None:
    text = arguments.text
    parser.add_argument("--user", type=text, default="", help="a user name, or such as user:7")
    parser.add_argument("--client", type=text, default="", help="a client id")
    parser.add_argument("--scope", type=text, default="", help="has this scope")
    parser.add_argument("--state", default="", choices=[*state.State.values, state.NOT_ENDED])
    parser.add_argument("--grant-type", type=text, default="")
    parser.add_argument("--older-than", type=arguments.age, metavar="AGE", help="90d, 12h")


def _filter(options: dict[str, Any]) -> DelegationFilter:
    older = options["older_than"]
    return DelegationFilter(
        state=options["state"],
        subject=_principal(options["user"]),
        client_id=options["client"],
        scope=options["scope"],
        issued_before=None if older is None else clock.now() - older,
        grant_type=options["grant_type"],
    )


def _principal(term: str) -> str:
    found = name_search.person(term) if term else ""
    if found is None:
        text = f"There is no user {term}. {name_suggestions.like_party(term, VisibilityScope())}"
        raise CommandError(escaped(text.strip()))
    return found


def _read(rows: Any) -> Any:
    return state.with_state(rows).select_related("principal_user", "principal_client", "delegate")
