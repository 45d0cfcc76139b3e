"""What the steps of the story share: who takes part, and what happened so far."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from django.urls import reverse

from delegation_app.client import Attempt, ClientError, Tokens
from example_project.demo.app import App
from example_project.demo.browser import Browser
from example_project.demo.expectations import NotAsTold
from example_project.demo.transcript import Transcript


@dataclass(slots=True)
class Handed:
    """What a service got for the next one: a token, and the delegation behind it."""

    token: str = ""
    delegation_id: str = ""


@dataclass(slots=True)
class Waiting:
    """What the TV was told while it waits for Alice, and when it asked last."""

    device_code: str = ""
    user_code: str = ""
    address: str = ""
    interval: float = 0
    asked_at: float = 0


class Scene:
    """The stage: two people with their browsers, the apps, and the three servers.

    Args:
        site: the address of the authorization server, which is its issuer too.
        services: the origin of each service.
        world: what `seed_demo --json` prints.
        transcript: where everything is written down.
    """

    def __init__(
        self,
        site: str,
        services: Mapping[str, str],
        world: dict[str, Any],
        transcript: Transcript,
    ) -> None:
        self.site = site
        self.world = world
        self._services = services
        self.transcript = transcript
        self.alice = Browser(site, transcript)
        self.operator = Browser(site, transcript)
        self.apps = {name: App(site, known, transcript) for name, known in world["clients"].items()}
        # What one step leaves for the next
        self.attempt: Attempt | None = None
        self.shown: requests.Response = requests.Response()
        self.callback = ""
        self.tokens = Tokens("")
        self.cron_token = ""
        self.delegation_id = ""
        self.at_b = Handed()
        self.at_c = Handed()
        self.waiting = Waiting()
        self.tv_token = ""

    @property
    def web(self) -> App:
        """The app that Alice lets do something."""
        return self.apps["web"]

    @property
    def cron(self) -> App:
        """The job that acts for itself."""
        return self.apps["cron"]

    def at(self, service: str, what: str) -> str:
        """Return the address of something that a service offers."""
        return self._services[service] + reverse(f"{service}:{what}")

    @property
    def tree(self) -> tuple[str, ...]:
        """The delegations from the root down, by id."""
        return self.delegation_id, self.at_b.delegation_id, self.at_c.delegation_id


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a title, and a deed that returns in a sentence what came of it."""

    title: str
    act: Callable[[Scene], str] = field(repr=False)


def tell(steps: Iterable[Step], scene: Scene) -> bool:
    """Play the steps; stop at the first that is not as told, and say what was expected.

    Returns:
        whether all of it was as told.
    """
    for number, step in enumerate(steps, start=1):
        scene.transcript.chapter(number, step.title)
        try:
            outcome = step.act(scene)
        except NotAsTold as surprise:
            scene.transcript.not_as_told(
                surprise.what, expected=surprise.expected, got=surprise.got
            )
            return False
        except (requests.RequestException, ClientError, LookupError, ValueError) as error:
            scene.transcript.not_as_told(
                "the site", expected="an answer that can be read", got=repr(error)
            )
            return False
        scene.transcript.as_told(outcome)
    return True
