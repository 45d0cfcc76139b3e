"""The users, services and clients of the demo, as plain values; `seed` writes them."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from delegation_app.protocol import names
from delegation_app.protocol.scope import Scope
from example_project.api.services import SERVICE_A, SERVICE_B, SERVICE_C

# Three white bars on blue, a PNG
LOGO: Final = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAGAAAABgCAIAAABt+uBvAAAApklEQVR42u3c0QkAIAhAQf9bsRWbsTYIIaiQk7eA9y1G"
    "60ObAgEgQIAAAQIECJAAAQIECBAgQIBUCGimBxAgQIAAAQIECBAgQIAAAQIECNB7oPP1AAECBAgQIECAAAECBAgQIECA"
    "AN0D+mE9QIAAAQIECBAgQIAAAQIECBAgQIAAAQIECBAgQIAAAQIEyPGC5yaAAAkQIECAAAECBEiAAAECBAhQmRZSL50F"
    "V27ynQAAAABJRU5ErkJggg=="
)
USERS: Final = ("alice", "bob", "operator", "auditor")


@dataclass(frozen=True, slots=True)
class Service:
    """A resource server."""

    identifier: str
    name: str
    scopes: Scope


@dataclass(frozen=True, slots=True)
class Client:
    """A client and its limits.

    Attributes:
        name: as users read it.
        grants: the grant types that it may use.
        scopes: all that it may obtain.
        audiences: the services that it may obtain tokens for; the first is the default.
        redirect_uris: where codes may be sent.
        public: whether it has no secret.
        service: the service that it is, whose tokens it may introspect.
        site: its home page; empty for clients that no user sees.
        logo: an image, or None.
    """

    name: str
    grants: tuple[str, ...]
    scopes: Scope
    audiences: tuple[str, ...]
    redirect_uris: tuple[str, ...] = ()
    public: bool = False
    service: str | None = None
    site: str = ""
    logo: bytes | None = None


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
        logo=LOGO,
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
    "service_a": Client("Service A", _SERVICE, _METRICS, ("service_b",), service="service_a"),
    "service_b": Client("Service B", _SERVICE, _METRICS, ("service_c",), service="service_b"),
    # The last service only introspects.
    "service_c": Client("Service C", (), Scope(), (), service="service_c"),
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
