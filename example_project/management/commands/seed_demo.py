"""`manage.py seed_demo`: the users and clients of the demo."""

import json
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from example_project.demo import seed


class Command(BaseCommand):
    """Seed the users, services and clients of the demo, and print their credentials."""

    help = "Seed the users, services and clients of the demo, and print their credentials."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --json."""
        parser.add_argument("--json", action="store_true", help="print one JSON object only")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Seed, and print.

        Raises:
            CommandError: the tables are missing, or the file of credentials is damaged.
        """
        try:
            world = seed.make()
        except seed.NotReady as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(world, indent=2))
        else:
            self.stdout.write("\n".join(_lines(world)))


def _lines(world: Mapping[str, Any]) -> Iterator[str]:
    yield f"Issuer     {world['issuer']}\n\n{'User':<10} Password"
    for user in world["users"].values():
        yield f"{user['username']:<10} {user['password']}"
    yield f"\n{'Service':<10} Audience"
    for name, identifier in world["audiences"].items():
        yield f"{name:<10} {identifier}"
    yield f"\n{'Client':<10} {'Secret':<44} Scopes"
    for client in world["clients"].values():
        secret = client["client_secret"] or "none: public"
        yield f"{client['client_id']:<10} {secret:<44} {' '.join(client['scopes'])}".rstrip()
