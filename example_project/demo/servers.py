"""The three servers of the demo: the authorization server, service A and service B."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import requests
from django.conf import settings

from delegation_app.client import session
from example_project.api.services import SERVICE_A, SERVICE_B, SERVICE_C, Service

HOST: Final = "127.0.0.1"
# Meant for the authorization server only
_NOT_FOR_SERVICES: Final = frozenset(
    {"DATABASE_URL", "DJANGO_SECRET_KEY", "DJANGO_ALLOWED_HOSTS", "REDIS_URL"}
)
_NAMES: Final = ("authorization server", "service A", "service B")
_READY: Final = (
    "/.well-known/oauth-authorization-server",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource",
)
_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 10
_LAST_LINES: Final = 15


class NotRunning(Exception):
    """A server did not start, or has ended; the text says why."""


def require_free(ports: Mapping[str, int]) -> None:
    """Raise NotRunning if a port is in use or occurs twice; its option is named."""
    if len(set(ports.values())) < len(ports):
        raise NotRunning("Three servers need three ports.")
    for option, port in ports.items():
        with socket.socket() as probe:
            # As the server will: a port that a server has just left is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except (OSError, OverflowError) as error:
                raise NotRunning(
                    f"Port {port} cannot be used ({error}); choose another with {option}."
                ) from error


def free_ports(number: int) -> list[int]:
    """Return unused ports of this machine."""
    with ExitStack() as probes:
        found = [probes.enter_context(socket.create_server((HOST, 0))) for _ in range(number)]
        return [int(probe.getsockname()[1]) for probe in found]


class Server:
    """The example project in a process of its own.

    Args:
        name: as users read it; the log is named after it.
        port: where it listens, on this machine only.
        environment: the whole environment of the process.
    """

    def __init__(self, name: str, port: int, environment: Mapping[str, str]) -> None:
        self.address = _origin(port)
        self._name = name
        self.log = settings.LOCAL_DIR / f"{name.lower().replace(' ', '_')}.log"
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # --noreload: one process, so that ending it ends the server
        command = ["manage.py", "runserver", "--noreload", f"{HOST}:{port}"]
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and command
                [sys.executable, *command],
                cwd=settings.BASE_DIR,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self, path: str) -> None:
        """Return when a request for this path is answered.

        Raises:
            NotRunning: the process ended, or takes too long.
        """
        client = session(total_seconds=5)
        give_up = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up:
            self.require_running()
            with suppress(requests.RequestException):
                client.get(f"{self.address}{path}")
                return
            time.sleep(0.1)
        raise NotRunning(self._describe(f"did not answer within {_START_SECONDS} seconds."))

    def require_running(self) -> None:
        """Raise NotRunning, with the end of the log, if the process has ended."""
        if self._process.poll() is not None:
            raise NotRunning(self._describe("has ended."))

    def stop(self) -> None:
        """End the process, by force if necessary."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _describe(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join([f"The {self._name} {what}", f"The end of {self.log}:", *lines])


@dataclass(frozen=True, slots=True)
class Site:
    """The running servers.

    Attributes:
        issuer: the identifier of the authorization server.
        services: the origin of each service; service C shares that of the authorization server.
        servers: the processes, the authorization server first.
    """

    issuer: str
    services: Mapping[str, str]
    servers: tuple[Server, ...]

    def require_running(self) -> None:
        """Raise NotRunning if a server has ended."""
        for server in self.servers:
            server.require_running()

    def wait(self) -> None:
        """Wait until a server ends, then raise NotRunning."""
        while True:
            self.require_running()
            time.sleep(0.5)


@contextmanager
def running(
    ports: Sequence[int], world: Mapping[str, Any], *, issuer: str | None = None, **of_server: str
) -> Iterator[Site]:
    """Run the three servers during the block; they end with it, however it is left.

    Args:
        ports: of the authorization server, service A and service B.
        world: the output of `seed_demo --json`; each service receives its own secret.
        issuer: the address of the authorization server, if it is behind a proxy.
        of_server: further environment variables of the authorization server.

    Raises:
        NotRunning: one of them did not start.
    """
    address = issuer or _origin(ports[0])
    keys = (SERVICE_C.key, SERVICE_A.key, SERVICE_B.key)
    sites = dict(zip(keys, map(_origin, ports), strict=True))
    environments = (
        {**os.environ, "DELEGATION_ISSUER": address, **of_server},
        *(_environment_of(service, address, sites, world) for service in (SERVICE_A, SERVICE_B)),
    )
    servers: list[Server] = []
    with ExitStack() as stack:
        for name, port, environment in zip(_NAMES, ports, environments, strict=True):
            servers.append(Server(name, port, environment))
            stack.callback(servers[-1].stop)
        for server, path in zip(servers, _READY, strict=True):
            server.wait_until_ready(path)
        yield Site(address, sites, tuple(servers))


def _origin(port: int) -> str:
    return f"http://{HOST}:{port}"


def _environment_of(
    service: Service, issuer: str, sites: Mapping[str, str], world: Mapping[str, Any]
) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_SERVICES}
    own = {
        "DJANGO_SETTINGS_MODULE": "example_project.service_settings",
        "DELEGATION_ISSUER": issuer,
        "DEMO_SERVICE": service.key,
        "DEMO_SERVICE_SITE": sites[service.key],
        "DEMO_CLIENT_SECRET": world["clients"][service.key]["client_secret"],
    }
    if service.next is not None:
        own["DEMO_NEXT_SITE"] = sites[service.next.key]
    return {**inherited, **own}
