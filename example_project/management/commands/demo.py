"""`manage.py demo`: the story on three real servers, which then stay up to be explored."""

import signal
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections
from django.urls import reverse

from example_project.demo import seed, servers
from example_project.demo.scene import Scene
from example_project.demo.steps import play
from example_project.demo.story import STORY
from example_project.demo.transcript import Transcript

# The exit status that shells report for an interrupted command
INTERRUPTED: Final = 130


class Command(BaseCommand):
    """Migrate, seed, serve, and run the story over HTTP."""

    help = (
        "Run the story on three real servers (the authorization server, service A and service B), "
        "then keep serving until Ctrl-C."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add --port, --service-a-port, --service-b-port and --no-serve."""
        parser.add_argument(
            "--port", type=int, default=8000, help="of the authorization server (8000)"
        )
        parser.add_argument("--service-a-port", type=int, help="of service A (--port plus 1)")
        parser.add_argument("--service-b-port", type=int, help="of service B (--port plus 2)")
        parser.add_argument(
            "--no-serve",
            action="store_true",
            help="end after the story: 0 if every step succeeded, otherwise 1",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the demo.

        Raises:
            CommandError: the demo cannot run here; the text says why.
            SystemExit: a step failed (1), or the demo was interrupted before the end (130).
        """
        if not settings.DEBUG:
            raise CommandError("The demo is for development: set DJANGO_DEBUG=1.")
        if hasattr(sys.stdout, "reconfigure"):
            # A terminal that lacks a character shows another one instead.
            sys.stdout.reconfigure(errors="replace")
        transcript = Transcript(options.get("stdout"), colours=not options["no_color"])
        port = options["port"]
        ports = {
            "--port": port,
            "--service-a-port": options["service_a_port"] or port + 1,
            "--service-b-port": options["service_b_port"] or port + 2,
        }
        try:
            with _interruptible():
                succeeded = _run(transcript, ports, serve=not options["no_serve"])
        except (servers.NotRunning, seed.NotReady, DatabaseError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            transcript.say("\nStopped before the end.")
            sys.exit(INTERRUPTED)
        if not succeeded:
            sys.exit(1)


def _run(transcript: Transcript, ports: dict[str, int], *, serve: bool) -> bool:
    servers.require_free(ports)
    with transcript.status("Preparing the database …"):
        call_command("migrate", verbosity=0)
        world = seed.make()
    # SQLite has one writer, and the server needs it from here on.
    connections.close_all()
    transcript.say("Starting the authorization server, service A and service B …")
    with servers.running(list(ports.values()), world) as site:
        transcript.home = site.issuer
        transcript.say(f"The authorization server is at {site.issuer}, and service C with it.")
        for key, name in (("service_a", "Service A"), ("service_b", "Service B")):
            transcript.say(f"{name} is at {site.services[key]}, without a database.")
        scene = Scene(site.issuer, site.services, world, transcript)
        succeeded = play(STORY, scene, transcript)
        # If a server has ended, that is why a step failed.
        site.require_running()
        transcript.say("\nEvery step succeeded." if succeeded else "\nThe story ended early.")
        if serve:
            _serve(transcript, site, world)
    return succeeded


def _serve(transcript: Transcript, site: servers.Site, world: dict[str, Any]) -> None:
    transcript.say()
    for title, address, name in (
        ("Admin", reverse("admin:index"), "operator"),
        ("Site", reverse("home"), "alice"),
    ):
        user = world["users"][name]
        transcript.say(f"{title:<10} {site.issuer}{address}")
        transcript.say(f"           user {user['username']}, password {user['password']}")
    for number, server in enumerate(site.servers):
        transcript.say(f"{'' if number else 'Logs':<10} {server.log}")
    transcript.say("manage.py seed_demo prints all credentials again and changes nothing.")
    transcript.say("Ctrl-C stops the servers.")
    try:
        site.wait()
    except KeyboardInterrupt:
        transcript.say("\nStopped.")


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the block in the same way, so that the servers end with it.

    Ctrl-C too: a shell starts background commands with it ignored.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {it: signal.signal(it, interrupt) for it in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
