"""The three services of the example. None trusts another one more for being its neighbour."""

from dataclasses import dataclass
from typing import Final

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Service:
    """A service of its own: no token for another one is taken.

    Attributes:
        key: its client id at the authorization server, and the namespace of its URLs.
        audience: its identifier, which must stand in `aud`.
        path: what its addresses begin with, whichever process serves them.
        next: the service that it asks when it is asked for a report.
        patience: how many seconds it waits for that one; less than whoever asks it waits.
    """

    key: str
    audience: str
    path: str
    next: "Service | None" = None
    patience: float = 0

    @property
    def realm(self) -> str:
        """What a challenge calls it."""
        return self.key.replace("_", "-")

    @property
    def site(self) -> str:
        """Its origin, as the other services reach it.

        One in a process of its own has one of its own; else it is the issuer's.
        """
        return str(settings.SERVICE_SITES.get(self.key, settings.ISSUER))

    @property
    def report(self) -> str:
        """The address of its report."""
        return f"{self.site}/{self.path}report"


SERVICE_C: Final = Service("service_c", "https://service-c.example.com", "service-c/")
SERVICE_B: Final = Service(
    "service_b", "https://service-b.example.com", "service-b/", next=SERVICE_C, patience=10
)
SERVICE_A: Final = Service(
    "service_a", "https://service-a.example.com", "api/", next=SERVICE_B, patience=25
)

BY_KEY: Final = {service.key: service for service in (SERVICE_A, SERVICE_B, SERVICE_C)}
