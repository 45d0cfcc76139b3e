"""The example project as servers of their own, each in another process."""

import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import requests
from django.conf import settings

from example_project.outbound import new_session

HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 10
_LAST_LINES: Final = 15


class NotRunning(Exception):
    """A server did not start, or has ended; the text says why."""


class Server:
    """A running server.

    Args:
        name: what people call it.
        port: where it listens, on this machine only.
        log: the file that it writes to.
        environment: all of the environment that it has.

    Attributes:
        address: its origin.
        log: the file that it writes to.
    """

    def __init__(self, name: str, port: int, log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.address = f"http://{HOST}:{port}"
        self.log = log
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
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
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_it_answers(self, path: str) -> None:
        """Return once it serves.

        Args:
            path: what it is asked for; any answer will do.

        Raises:
            NotRunning: it ended, or takes too long.
        """
        session = new_session()
        give_up = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up:
            self.require_running()
            try:
                session.get(f"{self.address}{path}", timeout=5)
            except requests.RequestException:
                time.sleep(0.1)
            else:
                return
        raise NotRunning(self._why(f"did not answer within {_START_SECONDS} seconds."))

    def require_running(self) -> None:
        """Go on only while it runs.

        Raises:
            NotRunning: it has ended.
        """
        if self._process.poll() is not None:
            raise NotRunning(self._why("has ended."))

    def tell_to_end(self) -> None:
        """Tell it to end, and do not wait for that."""
        self._process.terminate()

    def stop(self) -> None:
        """End it, with force if it has to be."""
        self.tell_to_end()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _why(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join([f"The {self.name} {what}", f"The end of {self.log}:", *lines])


def free_ports(number: int) -> list[int]:
    """Return ports of this machine on which nothing listens now, each another one."""
    with ExitStack() as probes:
        found = [probes.enter_context(socket.create_server((HOST, 0))) for _ in range(number)]
        return [int(probe.getsockname()[1]) for probe in found]


def require_free(port: int, option: str) -> None:
    """Go on only if nothing listens on a port of this machine.

    Args:
        port: its number.
        option: what chooses another one.

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
                f"Port {port} can't be used ({error}); choose another with {option}."
            ) from error
