"""Authority that is passed on from service to service, as tests need it."""

from delegation_app.models import AuditEvent
from delegation_app.protocol import names
from tests.support.world import SERVICE_B, SERVICE_C, claims_of, delegation_of


class Chain:
    """Web's token for A, A's for B, and B's for C: the root, a child and a grandchild.

    Attributes:
        answers: the token responses, the root's first.
        tokens: their access tokens.
        rows: their delegations.
    """

    def __init__(self, story, **first):
        world = story.world
        root = story.tokens(**first)
        child = handed_on(story, root["access_token"])
        grandchild = handed_on(
            story, child["access_token"], world.service_b_client, audience=SERVICE_C
        )
        self.story = story
        self.answers = [root, child, grandchild]
        self.tokens = [answer["access_token"] for answer in self.answers]
        self.rows = [delegation_of(answer) for answer in self.answers]

    def active(self):
        """Which of the three their resource servers are told to be active."""
        world = self.story.world
        askers = (world.service_a_client, world.service_b_client, world.service_c_client)
        return [
            self.story.is_active(token, asker)
            for token, asker in zip(self.tokens, askers, strict=True)
        ]


def handed_on(story, token, app=None, **changes):
    """Exchange, and return the members of the answer."""
    if app is None:
        changes.setdefault("audience", SERVICE_B)
    response = story.exchange(token, app or story.world.service_a_client, **changes)
    assert response.status_code == 200, response.content
    return response.json()


def own_token(story, app, **changes):
    """A client's own access token, with which it shows who acts."""
    response = story.client_credentials(app, **changes)
    assert response.status_code == 200, response.content
    return response.json()["access_token"]


def acting_with(token):
    """The parameters that present an actor token."""
    return {"actor_token": token, "actor_token_type": names.ACCESS_TOKEN}


def act_of(answer):
    """The client ids in `act`, the current actor first."""
    found, member = [], claims_of(answer["access_token"]).get("act")
    while member is not None:
        assert set(member) <= {"sub", "client_id", "act"}
        assert member["sub"] == f"client:{member['client_id']}"
        found.append(member["client_id"])
        member = member.get("act")
    return found


def last_event(**values):
    """The newest audit event with these values."""
    return AuditEvent.objects.filter(**values).order_by("-id").first()
