"""Who and what there is in the demo, as plain values. `seed` writes it into a database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from delegation_app.protocol import names
from delegation_app.protocol.scope import Scope
from example_project.api.services import SERVICE_A, SERVICE_B, SERVICE_C

USERS: Final = ("alice", "bob", "operator", "auditor")


@dataclass(frozen=True, slots=True)
class Service:
    """A resource server: somewhere a token can be valid."""

    identifier: str
    name: str
    scopes: Scope


@dataclass(frozen=True, slots=True)
class Client:
    """A client and its limits.

    Attributes:
        name: as people are shown it.
        grants: the grant types that it may use.
        scopes: all that it may ever have.
        audiences: the services that it may get tokens for; the first is its default.
        redirect_uris: where codes may be sent to.
        public: whether it can't keep a secret.
        speaks_for: the service that it is; it may introspect that service's tokens.
        site: where people read about it; empty for what people never see.
        colour: of its logo, as red, green and blue; None for no logo.
    """

    name: str
    grants: tuple[str, ...]
    scopes: Scope
    audiences: tuple[str, ...]
    redirect_uris: tuple[str, ...] = ()
    public: bool = False
    speaks_for: str | None = None
    site: str = ""
    colour: tuple[int, int, int] | None = None


_METRICS: Final = Scope(["read:metrics", "write:alerts"])
_PERSONAL: Final = _METRICS | Scope(["read:profile"])
_APP: Final = (names.AUTHORIZATION_CODE, names.REFRESH_TOKEN)
_SERVICE: Final = (names.CLIENT_CREDENTIALS, names.TOKEN_EXCHANGE)

SERVICES: Final[Mapping[str, Service]] = {
    "service_a": Service(SERVICE_A.audience, "Service A", _PERSONAL | Scope(["delete:alerts"])),
    "service_b": Service(SERVICE_B.audience, "Service B", _METRICS),
    "service_c": Service(SERVICE_C.audience, "Service C", _METRICS),
}

CLIENTS: Final[Mapping[str, Client]] = {
    "web": Client(
        "Web app",
        _APP,
        _PERSONAL,
        ("service_a",),
        redirect_uris=("https://web.example.com/callback",),
        site="https://web.example.com",
        colour=(11, 92, 173),
    ),
    "mobile": Client(
        "Mobile app",
        _APP,
        _PERSONAL,
        ("service_a",),
        redirect_uris=("http://127.0.0.1/callback",),
        public=True,
        site="https://mobile.example.com",
    ),
    "service_a": Client("Service A", _SERVICE, _METRICS, ("service_b",), speaks_for="service_a"),
    "service_b": Client("Service B", _SERVICE, _METRICS, ("service_c",), speaks_for="service_b"),
    # The end of the line: it only asks whether what it was shown is good.
    "service_c": Client("Service C", (), Scope(), (), speaks_for="service_c"),
    "cron": Client("Cron job", (names.CLIENT_CREDENTIALS,), _METRICS, ("service_a",)),
    "tv": Client(
        "TV app",
        (names.DEVICE_CODE, names.REFRESH_TOKEN),
        _PERSONAL,
        ("service_a",),
        public=True,
    ),
}

CONFIDENTIAL: Final = tuple(name for name, client in CLIENTS.items() if not client.public)
