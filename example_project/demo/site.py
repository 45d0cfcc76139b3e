"""The three servers of the demo: the authorization server, service A and service B."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from example_project.api.services import SERVICE_A, SERVICE_B, SERVICE_C, Service
from example_project.demo.server import HOST, NotRunning, Server, require_free

# What only the authorization server may know, or is meant for it
_NOT_FOR_SERVICES: Final = frozenset(
    {"DATABASE_URL", "DJANGO_SECRET_KEY", "DJANGO_ALLOWED_HOSTS", "REDIS_URL"}
)
_LOOK_SECONDS: Final = 0.5
# What each is asked for until it answers
_SERVER_UP: Final = "/.well-known/oauth-authorization-server"
_SERVICE_UP: Final = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the three listen, on this machine."""

    server: int
    service_a: int
    service_b: int

    def require_usable(self) -> None:
        """Go on only if all three are free.

        Raises:
            NotRunning: one is not, or two are the same.
        """
        options = {
            "--port": self.server,
            "--service-a-port": self.service_a,
            "--service-b-port": self.service_b,
        }
        if len(set(options.values())) < len(options):
            raise NotRunning("Three servers need three ports.")
        for option, port in options.items():
            require_free(port, option)


@dataclass(frozen=True, slots=True)
class Site:
    """The servers while they run.

    Attributes:
        issuer: the authorization server's identifier.
        services: the origin of each service; the last one shares that of the server.
        servers: the processes, the authorization server first.
    """

    issuer: str
    services: Mapping[str, str]
    servers: tuple[Server, ...]

    def require_running(self) -> None:
        """Go on only while all of them run.

        Raises:
            NotRunning: one has ended; with the end of what it said.
        """
        for server in self.servers:
            server.require_running()

    def wait(self) -> None:
        """Wait until one of them ends.

        Raises:
            NotRunning: always; with the end of what it said.
        """
        while True:
            self.require_running()
            time.sleep(_LOOK_SECONDS)


@contextmanager
def running(
    ports: Ports,
    world: Mapping[str, Any],
    *,
    issuer: str | None = None,
    of_the_server: Mapping[str, str] | None = None,
) -> Iterator[Site]:
    """Run the three as long as the block lasts. However it is left, they end with it.

    Args:
        ports: where.
        world: what `seed_demo --json` prints; a service is told its own secret of it.
        issuer: how everybody reaches the authorization server, if not at its port.
        of_the_server: more of the environment of the authorization server alone.

    Raises:
        NotRunning: one of them did not start.
    """
    address = issuer or _at(ports.server)
    sites = {
        SERVICE_A.key: _at(ports.service_a),
        SERVICE_B.key: _at(ports.service_b),
        SERVICE_C.key: _at(ports.server),
    }
    server = {**os.environ, "DELEGATION_ISSUER": address, **(of_the_server or {})}
    at_a, at_b = (_environment_of(each, address, sites, world) for each in (SERVICE_A, SERVICE_B))
    servers: list[Server] = []
    with ExitStack() as ends:
        ends.callback(_end, servers)
        for name, port, environment in (
            ("authorization server", ports.server, server),
            ("service A", ports.service_a, at_a),
            ("service B", ports.service_b, at_b),
        ):
            log = settings.LOCAL_DIR / f"{name.lower().replace(' ', '_')}.log"
            servers.append(Server(name, port, log, environment))
        for each, path in zip(servers, (_SERVER_UP, _SERVICE_UP, _SERVICE_UP), strict=True):
            each.wait_until_it_answers(path)
        yield Site(address, sites, tuple(servers))


def _at(port: int) -> str:
    return f"http://{HOST}:{port}"


def _end(servers: list[Server]) -> None:
    # All are told before the first is waited for.
    for server in servers:
        server.tell_to_end()
    for server in servers:
        server.stop()


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
