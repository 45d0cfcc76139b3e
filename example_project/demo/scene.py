"""What the steps share: the users, the apps, the services, and what earlier steps obtained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from delegation_app.client import Attempt, Tokens
from example_project.demo.app import App
from example_project.demo.browser import Browser
from example_project.demo.transcript import Transcript


@dataclass(slots=True)
class Child:
    """A child delegation, and a token of it."""

    delegation_id: str = ""
    token: str = ""


class Scene:
    """Two users with their browsers, the apps, and the three servers.

    Args:
        issuer: the origin of the authorization server.
        services: the origin of each service.
        world: the output of `seed_demo --json`.
        transcript: records everything.
    """

    def __init__(
        self,
        issuer: str,
        services: Mapping[str, str],
        world: dict[str, Any],
        transcript: Transcript,
    ) -> None:
        self.world = world
        self._services = services
        self.transcript = transcript
        self.alice = Browser(issuer, transcript)
        self.operator = Browser(issuer, transcript)
        self.apps = {name: App(issuer, it, transcript) for name, it in world["clients"].items()}
        self.web, self.cron = self.apps["web"], self.apps["cron"]
        # Left by one step for the next
        self.attempt: Attempt | None = None
        self.callback = ""
        self.tokens = Tokens("")
        self.cron_token = ""
        self.delegation_id = ""
        self.at_b = Child()
        self.at_c = Child()
        self.device: dict[str, Any] = {}
        self.polled_at = 0.0
        self.tv_token = ""

    def at(self, service: str, view: str) -> str:
        """Return the address of a view of a service."""
        return self._services[service] + reverse(f"{service}:{view}")

    @property
    def tree(self) -> tuple[str, ...]:
        """The ids of the delegations, from the root down."""
        return self.delegation_id, self.at_b.delegation_id, self.at_c.delegation_id
