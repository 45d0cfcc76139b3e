"""What both model sites are made of: clients, limits and choices."""

from dataclasses import dataclass
from datetime import timedelta

import hypothesis
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, seed

from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.services import audit
from tests.support import in_ci
from tests.support.reference_model import EVERYWHERE, MAX_DEPTH, NEVER, Limits
from tests.support.world import make_app

SCOPES = ("delete:alerts", "read:metrics", "write:alerts")
DELETE, READ, WRITE = SCOPES
KNOWN = {"A": frozenset(SCOPES), "B": frozenset({READ, WRITE}), "C": frozenset({READ, WRITE})}
NONE = Limits()
PEOPLE = ("alice", "bob")
OPERATOR = audit.RequestContext(actor="user:99")
ISSUED = [
    "token.issued", "token.refreshed", "token.refresh_retried", "token.exchanged",
    "token.impersonated",
]  # fmt: skip
TIMES = (1, 5, 11, 60, 300, 601, 3000)
# Seeds that can run side by side, and how many stories each tells
PARTS = [0, 1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 10))]
STORIES = {"sqlite": 150, "postgresql": 50}[connection.vendor] if in_ci() else 25
STORIES_OF_A_SOAK = 1000


@dataclass(eq=False)
class Client:
    """A client, as its operator thinks of it."""

    name: str
    targets: frozenset
    speaks_for: str = ""
    scope: frozenset = frozenset(SCOPES)
    limits: Limits = NONE
    lifetime: float = NEVER
    may_act: str = ""
    may_impersonate: bool = False
    refreshes: bool = False
    grants: tuple = (names.TOKEN_EXCHANGE, names.REFRESH_TOKEN)
    trusted: bool = False
    public: bool = False

    def register(self, servers):
        return make_app(
            self.name,
            grants=self.grants,
            audiences=[servers[name] for name in self.targets],
            scopes=" ".join(self.scope),
            speaks_for=servers.get(self.speaks_for),
            delegation_lifetime=None if self.lifetime == NEVER else self.lifetime,
            constraints=constraints_of(self.limits),
            may_act=self.may_act,
            may_impersonate=self.may_impersonate,
            may_request_constraints=True,
            may_refresh_exchanged_tokens=self.refreshes,
            trusted=self.trusted,
            public=self.public,
            redirect_uris=f"https://{self.name}.example.com/callback",
        )


def constraints_of(limits, start=None):
    found = []
    if limits.servers != EVERYWHERE:
        found.append(
            {"type": "resource_servers", "identifiers": [uri(name) for name in limits.servers]}
        )
    if limits.depth != NEVER:
        found.append({"type": "max_depth", "depth": limits.depth})
    if limits.uses != NEVER:
        found.append({"type": "max_uses", "uses": limits.uses})
    window = {"not_before": limits.opens, "not_after": limits.closes}
    window = {name: at(start, value) for name, value in window.items() if abs(value) != NEVER}
    if window:
        found.append({"type": "time_window"} | window)
    return Constraints.parse(found)


def at(start, seconds):
    return (start + timedelta(seconds=seconds)).isoformat()


def uri(name):
    return f"https://service-{name.lower()}.example.com"


def audience_of(servers):
    return Audience(uri(name) for name in servers)


class Dice:
    """Choices that are read from bytes, so that hypothesis can shrink them."""

    def __init__(self, data):
        self.data = iter(data)

    def roll(self):
        return next(self.data, 0)

    def pick(self, options):
        return options[self.roll() % len(options)]

    def some(self, options, *, least=1):
        """Pick at least so many of them."""
        chosen = self.roll()
        found = [option for bit, option in enumerate(options) if chosen >> bit & 1]
        return frozenset(found if len(found) >= least else options)


def judge_place(row, parent):
    assert row.path == (parent.path if parent else "/") + f"{row.public_id.hex}/"
    assert row.root_id == (parent.root_id if parent else row.public_id)
    assert row.depth == (parent.depth + 1 if parent else 0) <= MAX_DEPTH
    assert row.ancestor_clients == (
        parent.ancestor_clients + f"/{parent.delegate_id}/" if parent else ""
    )
    if parent is None or row.revoked_at is not None:
        return
    assert parent.revoked_at is None
    assert row.scopes <= parent.scopes
    assert parent.expires_at is None or row.expires_at <= parent.expires_at
    assert row.constraints.is_within(parent.constraints.for_child())
    assert (row.subject, row.consent_id) == (parent.subject, parent.consent_id)


def acting(claims):
    """The chain of actors in a token, the current one first."""
    act = claims.get("act")
    return (act["client_id"], *acting(act)) if act else ()


def rolled_back(outer, told):
    """Run `told` in a transaction that is undone, as Django's own TestCase marks it."""
    outer._from_testcase = True
    with outer:
        told()
        transaction.set_rollback(True)


def explore(part, stories, tell):
    """Tell one part of the stories, each in a transaction that is undone."""

    @seed(part)
    @hypothesis.settings(
        max_examples=STORIES if part in PARTS else STORIES_OF_A_SOAK,
        # To explain a failure takes many times as long as to find it
        phases=set(Phase) - {Phase.explain},
        suppress_health_check=list(HealthCheck),
    )
    @given(data=stories)
    def told(data):
        rolled_back(transaction.atomic(), lambda: tell(data))

    told()
