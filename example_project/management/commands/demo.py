"""`manage.py demo`: the whole story on a real server, and then the server to look around in."""

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

from example_project.demo import seed, server
from example_project.demo.scene import Scene, tell
from example_project.demo.story import STORY
from example_project.demo.transcript import Transcript

# What a shell reports of a command that was interrupted
INTERRUPTED: Final = 130
STOP: Final = (signal.SIGINT, signal.SIGTERM)


class Command(BaseCommand):
    """Migrate, seed, serve, and play the story over HTTP."""

    help = "Play the whole story on a real server, then keep serving until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --port and --no-serve."""
        parser.add_argument("--port", type=int, default=8000, help="where to serve (8000)")
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
                told = _play(transcript, options["port"], serve=not options["no_serve"])
        except (server.NotRunning, seed.NotReady, DatabaseError) as error:
            transcript.progress("")
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            transcript.say("\nStopped before the end.")
            sys.exit(INTERRUPTED)
        if not told:
            sys.exit(1)


def _play(transcript: Transcript, port: int, *, serve: bool) -> bool:
    server.require_free(port)
    transcript.progress("Preparing the database …")
    call_command("migrate", verbosity=0)
    world = seed.make()
    # The server has the database to itself from here on.
    connections.close_all()
    with server.running(port, transcript) as running:
        transcript.say(f"The authorization server is at {running.issuer}")
        told = tell(STORY, Scene(running.issuer, world, transcript))
        transcript.say()
        transcript.say("Everything was as told." if told else "The story ended early.")
        if serve:
            _serve(transcript, running, world)
    return told


def _serve(transcript: Transcript, running: server.Server, world: dict[str, Any]) -> None:
    operator, alice = world["users"]["operator"], world["users"]["alice"]
    transcript.say()
    transcript.say(f"Admin      {running.issuer}{reverse('admin:index')}")
    transcript.say(f"           user {operator['username']}, password {operator['password']}")
    transcript.say(f"Site       {running.issuer}{reverse('home')}")
    transcript.say(f"           user {alice['username']}, password {alice['password']}")
    transcript.say(f"Log        {running.log}")
    transcript.say("Everything else: manage.py seed_demo. Ctrl-C stops the server.")
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
