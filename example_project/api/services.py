"""The three services of the example. They share a process, and trust each other no more for it."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from django.conf import settings
from django.urls import reverse


@dataclass(frozen=True, slots=True)
class Service:
    """A service of its own: no token for another one is taken.

    Attributes:
        key: its client id at the authorization server, and the namespace of its URLs.
        audience: its identifier, which must stand in `aud`.
        next: the service that it asks when it is asked for a report.
        patience: how many seconds it waits for that one; less than whoever asks it waits.
    """

    key: str
    audience: str
    next: "Service | None" = None
    patience: float = 0

    @property
    def realm(self) -> str:
        """What a challenge calls it."""
        return self.key.replace("_", "-")

    @property
    def report(self) -> str:
        """The address of its report, as the other services reach it."""
        return urljoin(settings.ISSUER, reverse(f"{self.key}:report"))


SERVICE_C: Final = Service("service_c", settings.SERVICE_C_AUDIENCE)
SERVICE_B: Final = Service("service_b", settings.SERVICE_B_AUDIENCE, next=SERVICE_C, patience=10)
SERVICE_A: Final = Service("service_a", settings.SERVICE_AUDIENCE, next=SERVICE_B, patience=25)
