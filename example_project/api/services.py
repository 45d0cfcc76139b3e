"""The three services. None trusts another more for running in the same process."""

from dataclasses import dataclass
from typing import Final

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Service:
    """A service that accepts tokens for its own audience only.

    Attributes:
        key: its client id at the authorization server, and the namespace of its URLs.
        audience: its identifier, which `aud` must contain.
        path: the prefix of its URLs in every process.
        next: the service that it calls for a report.
        patience: its timeout for that call in seconds, shorter than that of its own caller.
    """

    key: str
    audience: str
    path: str
    next: "Service | None" = None
    patience: float = 0

    @property
    def realm(self) -> str:
        """Its name in challenges."""
        return self.key.replace("_", "-")

    @property
    def site(self) -> str:
        """Its origin for the other services; without a process of its own, that of the issuer."""
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
