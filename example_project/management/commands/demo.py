"""`manage.py demo`: the whole story on three real servers, and then these to look around in."""

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

from example_project.demo import seed, server, site
from example_project.demo.scene import Scene, tell
from example_project.demo.story import STORY
from example_project.demo.transcript import Transcript

# What a shell reports of a command that was interrupted
INTERRUPTED: Final = 130
STOP: Final = (signal.SIGINT, signal.SIGTERM)


class Command(BaseCommand):
    """Migrate, seed, serve, and play the story over HTTP."""

    help = (
        "Play the whole story on three real servers (the authorization server, service A and "
        "service B), then keep serving until Ctrl-C."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --port, --service-a-port, --service-b-port and --no-serve."""
        parser.add_argument(
            "--port", type=int, default=8000, help="of the authorization server (8000)"
        )
        parser.add_argument("--service-a-port", type=int, help="of service A (--port plus 1)")
        parser.add_argument("--service-b-port", type=int, help="of service B (--port plus 2)")
        parser.add_argument(
            "--no-serve",
            action="store_true",
            help="end after the story: 0 if all was as told, 1 if not",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the demo.

        Raises:
            CommandError: it can't run here; the text says why.
            SystemExit: a step was not as told (1), or it was interrupted before the end (130).
        """
        if not settings.DEBUG:
            raise CommandError("The demo is for development: set DJANGO_DEBUG=1.")
        transcript = _transcript(self, no_colour=options["no_color"])
        told = False
        try:
            with _told_to_stop():
                told = _play(transcript, _ports(options), serve=not options["no_serve"])
        except (server.NotRunning, seed.NotReady, DatabaseError) as error:
            transcript.progress("")
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            transcript.say("\nStopped before the end.")
            sys.exit(INTERRUPTED)
        if not told:
            sys.exit(1)


def _ports(options: dict[str, Any]) -> site.Ports:
    port = options["port"]
    at_a, at_b = options["service_a_port"], options["service_b_port"]
    return site.Ports(port, port + 1 if at_a is None else at_a, port + 2 if at_b is None else at_b)


def _play(transcript: Transcript, ports: site.Ports, *, serve: bool) -> bool:
    ports.require_usable()
    transcript.progress("Preparing the database …")
    call_command("migrate", verbosity=0)
    world = seed.make()
    # The server has the database to itself from here on.
    connections.close_all()
    transcript.progress("Starting the servers …")
    with site.running(ports, world) as running:
        transcript.progress("")
        _introduce(transcript, running)
        told = tell(STORY, Scene(running.issuer, running.services, world, transcript))
        # Whatever was not as told, a server that has ended is the reason.
        running.require_running()
        transcript.say()
        transcript.say("Everything was as told." if told else "The story ended early.")
        if serve:
            _serve(transcript, running, world)
    return told


def _introduce(transcript: Transcript, running: site.Site) -> None:
    transcript.home = running.issuer
    transcript.say(f"The authorization server is at {running.issuer}, and service C with it.")
    transcript.say(f"Service A is at {running.services['service_a']}, without a database,")
    transcript.say(f"service B is at {running.services['service_b']}, without a database.")


def _serve(transcript: Transcript, running: site.Site, world: dict[str, Any]) -> None:
    operator, alice = world["users"]["operator"], world["users"]["alice"]
    transcript.say()
    transcript.say(f"Admin      {running.issuer}{reverse('admin:index')}")
    transcript.say(f"           user {operator['username']}, password {operator['password']}")
    transcript.say(f"Site       {running.issuer}{reverse('home')}")
    transcript.say(f"           user {alice['username']}, password {alice['password']}")
    for number, each in enumerate(running.servers):
        transcript.say(f"{'' if number else 'Logs':<10} {each.log}")
    transcript.say("Everything else: manage.py seed_demo. Ctrl-C stops the servers.")
    try:
        running.wait()
    except KeyboardInterrupt:
        transcript.say("\nStopped.")


def _transcript(command: BaseCommand, *, no_colour: bool) -> Transcript:
    # A terminal that lacks a character shall show another one, not end the story.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    command.stdout.ending = ""
    return Transcript(command.stdout, colours=not no_colour)


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the block in the same way, so that the server ends with it.

    Ctrl-C too: a shell starts what runs in its background deaf to it.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in STOP}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
