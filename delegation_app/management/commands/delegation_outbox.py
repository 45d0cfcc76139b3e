"""`manage.py delegation_outbox`: sends the pending signals of the outbox, for a scheduler."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from delegation_app.services import outbox


class Command(BaseCommand):
    """Send the due signals, once."""

    help = (
        "Send the pending signals of the outbox (the setting OUTBOX), each at least once. "
        "Run it every few seconds; it is safe beside another one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--batch",
            type=int,
            default=outbox.BATCH,
            help="how many messages to take at a time (default: %(default)s)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Send them.

        Raises:
            CommandError: the batch is not a positive number.
        """
        if options["batch"] < 1:
            message = "--batch must be at least 1."
            raise CommandError(message)
        delivered, failed = outbox.deliver(options["batch"])
        self.stdout.write(f"{delivered} delivered, {failed} to be tried again.")
