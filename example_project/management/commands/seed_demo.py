"""`manage.py seed_demo`: the demo's users and clients, made or found."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from example_project.demo import seed


class Command(BaseCommand):
    """Make the demo's users, services and clients, and print what they are known by."""

    help = "Make or find the demo's users, services and clients, and print their credentials."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --json."""
        parser.add_argument("--json", action="store_true", help="print one JSON object, no more")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Seed, and print.

        Raises:
            CommandError: there are no tables, or the file of credentials is damaged.
        """
        try:
            world = seed.make()
        except seed.NotReady as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(world, indent=2))
        else:
            self.stdout.write("\n".join(_table(world)))


def _table(world: Mapping[str, Any]) -> Iterator[str]:
    yield f"Issuer     {world['issuer']}"
    yield ""
    yield f"{'User':<10} Password"
    for user in world["users"].values():
        yield f"{user['username']:<10} {user['password']}"
    yield ""
    yield f"{'Service':<10} Audience"
    for name, identifier in world["audiences"].items():
        yield f"{name:<10} {identifier}"
    yield ""
    yield f"{'Client':<10} {'Secret':<44} Scopes"
    for client in world["clients"].values():
        secret = client["client_secret"] or "none: public"
        yield f"{client['client_id']:<10} {secret:<44} {' '.join(client['scopes'])}".rstrip()
