"""`manage.py audit`: shows, follows and exports the audit trail on a terminal or in scripts."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from delegation_app import clock
from delegation_app.events import REGISTRY
from delegation_app.management.console import arguments, output
from delegation_app.management.console.follow import WINDOW, Follower
from delegation_app.management.console.origin import context
from delegation_app.models import AuditEvent
from delegation_app.services import event_counts
from delegation_app.services.name_suggestions import VisibilityScope
from delegation_app.services.reporting import audit_export, audit_query
from delegation_app.services.reporting.audit_query import AuditQuery

_SAME: Final = ("event", "outcome", "reason", "actor", "subject", "delegation", "endpoint", "jti")


class Command(BaseCommand):
    """Show, follow or export events."""

    help = (
        "Show the newest events of the audit trail, oldest first; follow it; or export it, newest "
        "first. A value that begins with a minus is written --jti=-abc."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        text = arguments.text
        parser.add_argument("about", nargs="?", type=text, default="", help="any id or user name")
        parser.add_argument("--since", type=arguments.moment, help="from this time on")
        parser.add_argument("--until", type=arguments.moment, help="before this time")
        parser.add_argument("--last", type=arguments.age, help="not older than this: 1h, 7d")
        parser.add_argument("--event", default="", choices=sorted(REGISTRY), metavar="NAME")
        parser.add_argument("--outcome", default="", choices=AuditEvent.Outcome.values)
        parser.add_argument("--endpoint", default="", choices=audit_query.ENDPOINTS)
        parser.add_argument("--reason", type=text, default="")
        parser.add_argument(
            "--actor", type=text, default="", help="a subject, user name or client id"
        )
        parser.add_argument("--subject", "--user", type=text, default="", dest="subject")
        parser.add_argument("--client", type=text, default="", help="a client id")
        parser.add_argument("--delegation", type=arguments.public_id, metavar="ID")
        parser.add_argument("--request", type=text, default="", help="a request id")
        parser.add_argument("--jti", type=text, default="", help="a token id")
        parser.add_argument("--limit", type=arguments.count, default=50)
        parser.add_argument("--json", action="store_true", help="one JSON object per line")
        parser.add_argument("--follow", action="store_true", help="continue with new events")
        parser.add_argument(
            "--interval", type=arguments.seconds, default=2.0, help="seconds between two polls"
        )
        parser.add_argument(
            "--export", choices=sorted(audit_export.TYPES), help="export all, to standard output"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Show, follow or export events.

        Raises:
            CommandError: the options are not compatible.
        """
        event_counts.write_finished()
        query = _query(options)
        if options["export"] and (options["follow"] or options["json"]):
            raise CommandError("--export goes with filters only.")
        try:
            if options["export"]:
                self._export(query, options["export"])
            else:
                self._show(query, options)
        # The reader has closed the pipe (`| head`), or pressed Ctrl-C while following
        except (BrokenPipeError, KeyboardInterrupt):
            return

    def _export(self, query: AuditQuery, form: str) -> None:
        for text in audit_export.lines(audit_query.export(query, context(), form), form):
            self.stdout.write(text, ending="")

    def _show(self, query: AuditQuery, options: dict[str, Any]) -> None:
        follower = Follower(query, clock.now() - WINDOW)
        if options["follow"]:
            # Existing events are not new, even those beyond the limit below
            deque(follower.news(), maxlen=0)
        newest = list(islice(query.events.all(options["limit"]), options["limit"]))
        newest.reverse()
        self._write(newest, query, as_json=options["json"])
        if not newest and not options["follow"]:
            self._show_unknown(query, as_json=options["json"])
        if options["follow"]:
            for event in newest:
                follower.skip(event)
            self._follow(follower, query, options)

    def _show_unknown(self, query: AuditQuery, *, as_json: bool) -> None:
        sentences = query.unknown_names(VisibilityScope())
        # Scripts expect empty output; the message is for a terminal
        if not as_json and output.is_terminal(self.stderr):
            sentences = sentences or ["Nothing found."]
        for sentence in sentences:
            self.stderr.write(audit_export.escaped(sentence))

    def _follow(self, follower: Follower, query: AuditQuery, options: dict[str, Any]) -> None:
        while True:
            time.sleep(options["interval"])
            event_counts.write_finished()
            self._write(follower.news(), query, as_json=options["json"])
            self.stdout.flush()

    def _write(self, events: Iterable[AuditEvent], query: AuditQuery, *, as_json: bool) -> None:
        for event in events:
            text = audit_export.line(event) if as_json else f"{_in_words(event, query)}\n"
            self.stdout.write(text, ending="")


def _query(options: dict[str, Any]) -> AuditQuery:
    since: datetime | None = options["since"]
    if options["last"] is not None:
        recent = clock.now() - options["last"]
        since = recent if since is None else max(since, recent)
    return AuditQuery(
        since=since,
        until=options["until"],
        client_id=options["client"],
        request_id=options["request"],
        about=options["about"],
        **{name: options[name] for name in _SAME},
    )


def _in_words(event: AuditEvent, query: AuditQuery) -> str:
    detail = str(event.details.get("detail") or "")
    which = "above it, delegation" if query.is_inherited(event) else "delegation"
    parts = [
        output.moment(event.occurred_at),
        event.event.ljust(20),
        event.outcome.ljust(7),
        event.actor or "-",
        f"for {event.subject}" if event.subject else "",
        f"at {event.client_id_value}" if event.client_id_value else "",
        f"{which} {found}" if (found := audit_export.members(event)["delegation"]) else "",
        f"request {event.request_id}" if event.request_id else "",
        f"token {event.jti}" if event.jti else "",
        ": ".join(filter(None, (event.reason, detail))),
        f"{times} times in a minute" if (times := event_counts.times(event)) > 1 else "",
    ]
    return audit_export.escaped("  ".join(filter(None, parts)))
