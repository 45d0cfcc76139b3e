"""The example project as a server of its own, in another process."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import requests
from django.conf import settings

from example_project.demo.transcript import Transcript
from example_project.outbound import new_session

HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 10
_LAST_LINES: Final = 15


class NotRunning(Exception):
    """The server did not start, or has ended; the text says why."""


class Server:
    """A running server.

    Attributes:
        issuer: its address.
        log: the file that it writes to.
    """

    def __init__(self, port: int, log: Path) -> None:
        self.issuer = f"http://{HOST}:{port}"
        self.log = log
        with log.open("wb") as output:
            # --noreload: one process, so that ending it ends the server.
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and command
                [
                    sys.executable,
                    str(settings.BASE_DIR / "manage.py"),
                    "runserver",
                    "--noreload",
                    f"{HOST}:{port}",
                ],
                env={**os.environ, "DELEGATION_ISSUER": self.issuer},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_it_answers(self) -> None:
        """Return once it serves.

        Raises:
            NotRunning: it ended, or takes too long.
        """
        session = new_session()
        give_up = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up:
            self.require_running()
            try:
                session.get(f"{self.issuer}/.well-known/oauth-authorization-server", timeout=5)
            except requests.RequestException:
                time.sleep(0.1)
            else:
                return
        raise NotRunning(self._why(f"The server did not answer within {_START_SECONDS} seconds."))

    def require_running(self) -> None:
        """Go on only while it runs.

        Raises:
            NotRunning: it has ended.
        """
        if self._process.poll() is not None:
            raise NotRunning(self._why("The server has ended."))

    def wait(self) -> None:
        """Wait until it ends.

        Raises:
            NotRunning: it ended by itself.
        """
        self._process.wait()
        self.require_running()

    def stop(self) -> None:
        """End it, with force if it has to be."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _why(self, text: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join([text, f"The end of {self.log}:", *lines])


def require_free(port: int) -> None:
    """Go on only if nothing listens on a port of this machine.

    Raises:
        NotRunning: something does.
    """
    with socket.socket() as probe:
        # As the server will: a port that a server has just left is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise NotRunning(
                f"Port {port} can't be used ({error}); choose another with --port."
            ) from error


@contextmanager
def running(port: int, transcript: Transcript) -> Iterator[Server]:
    """Run a server as long as the block lasts.

    Raises:
        NotRunning: it did not start.
    """
    log = settings.LOCAL_DIR / "server.log"
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    transcript.progress("Starting the server …")
    server = Server(port, log)
    try:
        server.wait_until_it_answers()
        transcript.progress("")
        yield server
    finally:
        transcript.progress("")
        server.stop()
