"""`manage.py rotate_signing_keys`: rotates the signing keys, as the admin does, for a scheduler."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import ngettext

from delegation_app.protocol.errors import OutcomeUnknown
from delegation_app.services import signing_keys
from delegation_app.services.audit import RequestContext


class Command(BaseCommand):
    """Activate the next signing key."""

    help = "Let the next signing key sign, retire the active one, and publish a new next key."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--force",
            action="store_true",
            help="do not wait until services know the next key",
        )
        parser.add_argument(
            "--withdraw",
            action="store_true",
            help="the active key was stolen: do not wait, and have what it signed refused",
        )

        parser.add_argument(
            "--discard-unreadable",
            action="store_true",
            help="the secret that encrypts the keys is lost: retire those that cannot be decrypted",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Rotate the keys.

        Raises:
            CommandError: the next key is not published for long enough or cannot be decrypted,
                there is nothing to discard, or the database was lost during the commit.
        """
        if options["discard_unreadable"]:
            self._discard(options)
            return
        before = signing_keys.active_kid()
        try:
            key = signing_keys.rotate(
                RequestContext(), force=options["force"], withdraw=options["withdraw"]
            )
        except signing_keys.UnreadableKey as error:
            message = (
                f"The next key {error.kid} cannot be decrypted. Put the former secret into "
                "SECRET_KEY_FALLBACKS or KEY_ENCRYPTION_KEY, or use --discard-unreadable if it is "
                "lost."
            )
            raise CommandError(message) from error
        except signing_keys.TooEarly as wait:
            when = ngettext("%(count)d second", "%(count)d seconds", wait.seconds)
            message = (
                f"The next key may sign in {when % {'count': wait.seconds}}: services may not know "
                "it yet. Use --force to go on, or --withdraw if the active key was stolen."
            )
            raise CommandError(message) from wait
        except OutcomeUnknown as error:
            raise CommandError(error.description) from error
        self.stdout.write(f"Key {key.kid} signs from now on; {before} is retired.")

    def _discard(self, options: dict[str, Any]) -> None:
        if options["force"] or options["withdraw"]:
            message = "--discard-unreadable goes with neither --force nor --withdraw."
            raise CommandError(message)
        lost = signing_keys.unreadable()
        try:
            key = signing_keys.discard_unreadable(RequestContext())
        except signing_keys.NothingUnreadable as error:
            message = "Every signing key can be decrypted; nothing was changed."
            raise CommandError(message) from error
        self.stdout.write(f"Key {key.kid} signs from now on; {', '.join(lost)} discarded.")
