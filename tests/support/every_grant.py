"""Every way to a token, so that one table can send every policy through every grant.

A way first gets hold of what it needs, then the policy changes, then it asks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from delegation_app.models import Delegation, ResourceServer
from delegation_app.protocol import names
from tests.support.world import SERVICE_B, claims_of, redirected

BOTH = "read:metrics write:alerts"


@dataclass
class Case:
    """One cell of the table: a story, the client whose policy changes, and what is asked with.

    Attributes:
        server: the resource server that the tokens are for.
        parameters: more of the request; None leaves one out.
        first: what an exchange answered before the change.
    """

    story: Any
    clock: Any
    settings: Any
    way: Any = None
    parameters: dict[str, str | None] = field(default_factory=dict)
    first: Any = None

    @property
    def app(self):
        return getattr(self.story.world, self.way.app)

    @property
    def server(self):
        identifier = getattr(self.story.world, self.way.server).identifier
        return ResourceServer.objects.filter(identifier=identifier)

    def limit(self, constraints):
        """Put constraints on its policy and on all that it holds, as they stand in the database."""
        self.app.change(constraints=constraints)
        Delegation.objects.filter(delegate=self.app.row).update(constraints=constraints)


@dataclass(frozen=True)
class Way:
    """One column: how a client comes to a token.

    Attributes:
        app: the client whose policy is changed.
        server: the resource server that is made unavailable.
    """

    name: str
    grant: str
    app: str
    server: str
    hold: Callable[[Case], Any]
    ask: Callable[[Case, Any], Any]


def _told(response):
    """What a token response says: the error, or what the token has."""
    answer = response.json()
    if response.status_code != 200:
        return answer["error"]
    claims = claims_of(answer["access_token"])
    told = {name: answer.get(name) for name in ("scope", "expires_in", "refresh_token_timeout")}
    return told | {name: claims.get(name) for name in ("aud", "act", "may_act", "constraints")}


def _authorize(case, _held):
    story = case.story
    response = story.authorize(**{"scope": BOTH, **case.parameters})
    asked = response.status_code == 200
    if asked:
        response = story.answer(response)
    if response.status_code == 200:
        return "waiting page"
    if response.status_code == 400:
        return "error page"
    if response.status_code == 302:
        return "sign-in"
    query = redirected(response)
    if "error" in query:
        return query["error"]
    told = _told(story.redeem(query["code"]))
    return told if isinstance(told, str) else told | {"asked": asked}


def _start(case, _held):
    story = case.story
    started = story.start(**{"scope": BOTH, **case.parameters})
    if started.status_code != 200:
        return started.json()["error"]
    page = story.enter(started.json()["user_code"])
    if page.status_code == 302:
        return "sign-in"
    if page.status_code != 200:
        return "error page"
    done = story.connect(page)
    assert done.status_code == 200, done.content
    return _told(story.poll(started.json()["device_code"]))


def _exchangeable(case):
    subject = case.story.tokens()["access_token"]
    case.first = _exchange(case, subject).json()
    return subject


def _exchange(case, subject):
    asked = {"audience": SERVICE_B, "scope": BOTH, **case.parameters}
    return case.story.exchange(
        asked.pop("subject_token", subject), case.story.world.service_a_client, **asked
    )


def _credentials(case):
    return case.story.client_credentials(**{"scope": BOTH, **case.parameters})


WAYS = (
    Way("authorize", names.AUTHORIZATION_CODE, "web", "service_a", lambda _case: None, _authorize),
    Way(
        "redeem",
        names.AUTHORIZATION_CODE,
        "web",
        "service_a",
        lambda case: case.story.code(),
        lambda case, code: _told(case.story.redeem(code, **case.parameters)),
    ),
    Way(
        "refresh",
        names.REFRESH_TOKEN,
        "web",
        "service_a",
        lambda case: case.story.tokens()["refresh_token"],
        lambda case, text: _told(case.story.refresh(text, **case.parameters)),
    ),
    Way(
        "itself",
        names.CLIENT_CREDENTIALS,
        "cron",
        "service_a",
        _credentials,
        lambda case, _held: _told(_credentials(case)),
    ),
    Way(
        "exchange",
        names.TOKEN_EXCHANGE,
        "service_a_client",
        "service_b",
        _exchangeable,
        lambda case, subject: _told(_exchange(case, subject)),
    ),
    # The same, while what changes is the policy of the client that holds the subject token
    Way(
        "exchanged",
        names.TOKEN_EXCHANGE,
        "web",
        "service_a",
        _exchangeable,
        lambda case, subject: _told(_exchange(case, subject)),
    ),
    Way("start", names.DEVICE_CODE, "tv", "service_a", lambda _case: None, _start),
    Way(
        "poll",
        names.DEVICE_CODE,
        "tv",
        "service_a",
        lambda case: case.story.approved(),
        lambda case, code: _told(case.story.poll(code, **case.parameters)),
    ),
)
