"""Random trees of delegations, where every decision is compared with the reference model."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from unittest import mock

import hypothesis
import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, note, seed
from hypothesis import strategies as st

from delegation_app.models import (
    AccessToken,
    AuditEvent,
    ClientPolicy,
    ConsentRecord,
    Delegation,
    ResourceServer,
)
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.client_auth import Credentials
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import InvalidToken, OAuthError
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import new_secret
from delegation_app.services import (
    audit,
    client_authentication,
    clients,
    delegate,
    exchange,
    introspect,
    keys,
    local_verifier,
    revoke,
    rotation,
    tokens,
)
from delegation_app.services.narrowing import Narrowing
from delegation_app.services.parties import Token
from delegation_app.services.terms import SignIn, Terms
from tests.support import in_ci
from tests.support import reference_model as model
from tests.support.chains import Chain
from tests.support.clock import Clock
from tests.support.reference_model import EVERYWHERE, NEVER, Limits
from tests.support.world import claims_of, make_app

SCOPES = ("delete:alerts", "read:metrics", "write:alerts")
DELETE, READ, WRITE = SCOPES
KNOWN = {
    "A": frozenset(SCOPES),
    "B": frozenset({READ, WRITE}),
    "C": frozenset({READ, WRITE}),
}
NONE = Limits()
PEOPLE = ("alice", "bob")
OPERATOR = audit.Origin(actor="user:99")
TIMES = (1, 5, 11, 60, 300, 601, 3000)
EXAMPLES = {"sqlite": 2000, "postgresql": 300}[connection.vendor] if in_ci() else 200
PARTS = 4


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
    impersonates: bool = False
    refreshes: bool = False

    def register(self, servers):
        return make_app(
            self.name,
            grants=[names.TOKEN_EXCHANGE, names.REFRESH_TOKEN],
            audiences=[servers[name] for name in self.targets],
            scopes=" ".join(self.scope),
            speaks_for=servers.get(self.speaks_for),
            delegation_lifetime=None if self.lifetime == NEVER else self.lifetime,
            constraints=constraints_of(self.limits),
            may_act=self.may_act,
            impersonates=self.impersonates,
            refreshes_exchanged=self.refreshes,
        )


def everybody():
    return [
        Client("web", frozenset("AB"), refreshes=True),
        Client("app", frozenset("AC"), may_act="of-a"),
        Client("of-a", frozenset("AB"), "A"),
        Client("of-b", frozenset("AC"), "B", lifetime=900, refreshes=True),
        Client("of-c", frozenset("A"), "C", frozenset({READ, WRITE}), Limits(uses=4)),
        Client(
            "any", frozenset("ABC"), "A", impersonates=True, limits=Limits(depth=2), lifetime=500
        ),
    ]


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


class Site:
    """The implementation and the model, side by side."""

    def __init__(self):
        self.servers = {
            name: ResourceServer.objects.create(
                identifier=uri(name),
                name=f"Service {name}",
                scopes=" ".join(known),
                token_format="opaque" if name == "C" else "jwt",
            )
            for name, known in KNOWN.items()
        }
        self.apps = {client.name: client.register(self.servers) for client in everybody()}
        operator = make_app("tool", grants=(), audiences=[], may_introspect_all=True)
        self.operator = clients.find(operator.client_id, clients.SPEAKS_FOR)
        self.askers = {
            name: clients.find(asker, clients.SPEAKS_FOR)
            for name, asker in {"A": "of-a", "B": "of-b", "C": "of-c"}.items()
        }
        self.people = {name: get_user_model().objects.create(username=name) for name in PEOPLE}
        self.signer = keys.signer()
        self.clock = Clock(timezone.now().replace(microsecond=0) + timedelta(seconds=1))

    def reset(self):
        self.start = self.clock.time
        self.clients = everybody()
        self.model = model.Model(KNOWN)
        self.rows, self.texts, self.renewals, self.consents = {}, {}, {}, []

    # What both are asked

    def open(self, dice):
        client, user = dice.pick(self.clients), dice.pick((*PEOPLE, ""))
        available = sorted(client.targets - self.model.off)
        if not available:
            return
        scope, audience = dice.some(SCOPES), dice.some(available)
        limits, lifetime = self.limits(dice), dice.pick((NEVER, 2000, 300, 300))
        consent = self.consent(dice, user, client) if user else None
        note(f"{client.name} opens {user} {scope} {audience} {limits} {lifetime}")
        node = model.Node(
            client=client,
            parent=None,
            whose=(user, consent),
            scope=scope,
            audience=audience,
            limits=limits,
            ends=self.model.now + lifetime,
        )
        terms = Terms(
            client=clients.find(client.name),
            scope=Scope(scope),
            audience=audience_of(audience),
            grant_type=names.AUTHORIZATION_CODE,
            constraints=self.constraints(limits),
            sign_in=SignIn(self.people[user], self.clock.time, "1") if user else None,
            consent=consent,
            expires_at=self.time(node.ends),
        )
        if not node.may_issue(audience, self.model.now):
            with pytest.raises(OAuthError), transaction.atomic():
                self.first_tokens(terms)
            return
        delegation, issued = self.first_tokens(terms)
        self.model.nodes.append(node)
        self.rows[node] = delegation.public_id
        self.took(issued, self.model.issue(node, scope, audience))
        renewal = self.model.issue(node, scope, audience, model.IDLE)
        self.renewals[renewal] = issued.renewal.text

    def first_tokens(self, terms):
        with transaction.atomic():
            delegation = delegate.open_delegation(terms, OPERATOR)
            view = tokens.View(delegation, terms.client, terms.scope, terms.audience)
            return delegation, tokens.issue(
                view, OPERATOR, renewal=tokens.renewal(view, new_secret())
            )

    def exchange(self, dice):
        token = self.token(dice)
        client = self.client_for(token, dice)
        is_own = client is token.node.client
        one = frozenset({dice.pick(sorted(token.audience if is_own else client.targets))})
        targets = dice.pick((one, one, one, one, dice.some("ABC"), frozenset()))
        part = dice.some(sorted(token.scope))
        scope = dice.pick((None, None, None, part, part, dice.some(SCOPES)))
        limits = self.limits(dice)
        note(f"{client.name} exchanges {token.node.client.name}'s {targets} {scope} {limits}")
        wanted = exchange.Exchange(
            subject=Token(self.texts[token], names.ACCESS_TOKEN),
            actor=None,
            requested_type=names.ACCESS_TOKEN,
            audiences=tuple(uri(name) for name in targets),
            resources=(),
            scope=None if scope is None else " ".join(scope),
            constraints=self.constraints(limits),
        )
        found = self.compared(
            lambda: exchange.exchange(wanted, self.authenticated(client), OPERATOR),
            lambda: self.model.exchange(client, token, targets, scope, limits),
        )
        if found is None:
            return
        issued, (child, expected) = found
        # The same child where the model says so, and otherwise one that nobody has seen
        known = {row: node for node, row in self.rows.items()}
        row = issued.access.delegation.public_id
        assert known.get(row, child) is child
        assert self.rows.setdefault(child, row) == row
        self.took(issued, expected)
        assert (issued.renewal is not None) == client.refreshes
        if client.refreshes:
            renewal = self.model.issue(child, expected.scope, expected.audience, model.IDLE)
            self.renewals[renewal] = issued.renewal.text

    def refresh(self, dice):
        if not self.renewals:
            return
        renewal = dice.pick(list(reversed(self.renewals)))
        client = renewal.node.client
        note(f"{client.name} refreshes")
        presentation = rotation.Presentation(self.renewals[renewal], None, ())
        found = self.compared(
            lambda: rotation.rotate(presentation, self.authenticated(client), OPERATOR),
            lambda: self.model.refresh(renewal),
        )
        if found is None:
            return
        issued, (successor, expected) = found
        assert self.renewals.setdefault(successor, issued.renewal.text) == issued.renewal.text
        self.took(issued, expected)

    def narrow(self, dice):
        node = self.node(dice)
        part = dice.pick(("scope", "audience", "ends", "limits"))
        scope, audience, ends = None, None, None
        limits = self.limits(dice, always=True) if part == "limits" else NONE
        if part == "scope":
            scope = dice.some(dice.pick((sorted(node.all_scope()) or SCOPES, SCOPES)))
        elif part == "audience":
            audience = dice.some(dice.pick((sorted(node.audience), "ABC")))
        elif part == "ends":
            ends = self.model.now + dice.pick((0, 100, 400, 2000))
        note(f"{node.client.name}'s is narrowed {scope} {audience} {ends} {limits}")
        to = Narrowing(
            None if scope is None else Scope(scope),
            None if audience is None else audience_of(audience),
            None if ends is None else self.time(ends),
            self.constraints(limits),
        )
        self.compared(
            lambda: delegate.narrow(self.row(node), to, OPERATOR, reason="test"),
            lambda: self.model.narrow(
                node,
                node.all_scope() if scope is None else scope,
                node.audience if audience is None else audience,
                node.last() if ends is None else ends,
                limits,
            ),
        )

    def revoke(self, dice):
        node = self.node(dice)
        name, consent = node.whose
        user = self.people.get(name)
        application = self.apps[node.client.name].row
        ways = {
            "it": lambda: revoke.subtree(self.row(node), OPERATOR, reason="test"),
            "it for good": lambda: revoke.subtree(
                self.row(node), OPERATOR, reason="test", bar=True
            ),
            "each": lambda: revoke.each([self.row(node)], OPERATOR, reason="test"),
            "of its client": lambda: revoke.of_client(application, OPERATOR, reason="test"),
            "of its user": lambda: revoke.of_user(user, OPERATOR, reason="test"),
            "of its user at its client": lambda: revoke.of_user_at_client(
                user, application, OPERATOR, reason="test"
            ),
            "of its consent": lambda: revoke.of_consent(consent, OPERATOR, reason="test"),
        }
        is_chosen = {
            "of its client": lambda other: other.client is node.client,
            "of its user": lambda other: other.whose[0] == name,
            "of its user at its client": lambda other: (
                (other.client, other.whose[0]) == (node.client, name)
            ),
            "of its consent": lambda other: other.whose[1] == consent,
        }
        # More often a single one, or the trees do not grow
        possible = list(ways)[: 7 if consent else 6 if user else 4]
        way = dice.pick(["it", "it", *possible])
        note(f"revoked: {node.client.name}'s, {way}")
        node.barred |= way == "it for good"
        standing = [other for other in self.model.nodes if not other.is_over()]
        for other in self.model.nodes:
            other.revoked |= is_chosen.get(way, lambda other: other is node)(other)
        assert ways[way]() == sum(other.is_over() for other in standing)

    def lift(self, dice):
        node = dice.pick([*(node for node in self.rows if node.barred), self.node(dice)])
        note(f"bar lifted: {node.client.name}'s")
        assert revoke.lift_bar(self.row(node), OPERATOR) == node.barred
        node.barred = False

    def give_back(self, dice):
        token = self.token(dice)
        note(f"{token.node.client.name} gives a token back")
        with suppress(OAuthError):
            client = self.authenticated(token.node.client)
            revoke.presented_token(self.texts[token], client, OPERATOR)
            token.revoked = True

    def switch(self, dice):
        node = self.node(dice)
        names = [above.client.name for above in node.line()]
        name = dice.pick([*names, *names, *(who for who in node.whose if who in PEOPLE), *KNOWN])
        # Whatever was off comes back sooner, so that something still happens
        name = dice.pick([name, *sorted(self.model.off)])
        is_on = name in self.model.off
        note(f"switched {'on' if is_on else 'off'}: {name}")
        self.model.off ^= {name}
        if name in PEOPLE:
            get_user_model().objects.filter(username=name).update(is_active=is_on)
        elif name in KNOWN:
            ResourceServer.objects.filter(pk=self.servers[name].pk).update(active=is_on)
        else:
            self.apps[name].change(enabled=is_on)

    def retune(self, dice):
        client = dice.pick(self.clients)
        client.scope, client.targets = dice.some(SCOPES), dice.some("ABC")
        note(f"policy: {client.name} {client.scope} {client.targets}")
        self.apps[client.name].change(scopes=" ".join(client.scope))
        policy = ClientPolicy.objects.get(application=self.apps[client.name].row)
        policy.audiences.set([self.servers[name] for name in client.targets])

    def wait(self, dice):
        seconds = dice.pick(TIMES)
        note(f"{seconds} s pass")
        self.clock.forward(seconds=seconds)
        self.model.now += seconds

    # What must be so at the end

    def judge_tokens(self):
        """Compare what each token is worth, at its services, at others and to an operator.

        To ask costs most of the time of this test, so the ways to ask take turns.
        """
        for turn, (token, text) in enumerate(self.texts.items(), start=len(self.texts)):
            name = sorted(token.audience)[turn % len(token.audience)]
            expected = self.model.seen(token, {name})
            if turn % 4:
                assert self.verified(text, name) == expected
            else:
                assert self.introspected(text, self.askers[name]) == expected
            if turn % 3 == 0:
                assert self.introspected(text, self.operator) == self.model.seen(token)
            if turn % 5 == 0:
                for elsewhere in EVERYWHERE - token.audience:
                    assert not self.verified(text, elsewhere)

    def verified(self, text, name):
        try:
            return frozenset(local_verifier.verify(text, uri(name)).scope)
        except (InvalidToken, OAuthError):
            return frozenset()

    def introspected(self, text, caller):
        answer = introspect.introspect(text, caller)
        assert answer["active"] == bool(answer.get("scope"))
        return frozenset(answer.get("scope", "").split())

    def judge_rows(self):
        """Compare the rows with each other (invariants I3 to I5) and with the model."""
        rows = {row.pk: row for row in Delegation.objects.all()}
        of = {row.public_id: row for row in rows.values()}
        assert set(of) == set(self.rows.values())
        for node, public_id in self.rows.items():
            judge_place(of[public_id], rows.get(of[public_id].parent_id))
            self.judge_row(of[public_id], node)
        events = AuditEvent.objects.filter(event__in=ISSUED).values_list("jti", flat=True)
        assert sorted(events) == sorted(AccessToken.objects.values_list("jti", flat=True))
        assert len(events) == len(self.texts)

    def judge_row(self, row, node):
        assert (row.revoked_at is not None) == node.is_over()
        assert row.actors == [{"sub": f"client:{name}", "client_id": name} for name in node.actors]
        assert row.barred == node.barred
        if node.is_over():
            return
        limits = node.all_limits()
        assert frozenset(row.scopes) == node.all_scope()
        assert row.audience == audience_of(node.audience)
        assert row.constraints == self.constraints(limits)
        assert row.expires_at == self.time(node.last())
        assert row.uses == node.uses
        assert row.max_uses == (None if limits.uses == NEVER else limits.uses)

    # Helpers

    def compared(self, deed, expected):
        """Do it in both, and return what they return; None if both refuse."""
        try:
            wanted = expected()
        except model.Refused as refused:
            (codes,) = refused.args
        else:
            return deed(), wanted
        with pytest.raises(OAuthError) as caught:
            deed()
        assert caught.value.code in codes
        return None

    def took(self, issued, expected):
        """Check an answer against the token that the model expects, and remember it."""
        answer = issued.answer(self.signer)
        note(f"  {answer['scope']} for {answer['expires_in']} s, {issued.access.audience}")
        self.texts[expected] = answer["access_token"]
        assert set(answer["scope"].split()) == expected.scope
        assert answer["expires_in"] == expected.ends - self.model.now
        assert issued.access.audience == audience_of(expected.audience)
        if "C" not in expected.audience:
            claims = claims_of(answer["access_token"])
            assert claims["aud"] == audience_of(expected.audience).claim()
            assert claims["exp"] == self.time(expected.ends).timestamp()
            assert acting(claims) == expected.node.actors

    def authenticated(self, client):
        app = self.apps[client.name]
        credentials = Credentials(app.client_id, app.secret, names.BASIC)
        return client_authentication.authenticate(credentials, ip=None)

    def limits(self, dice, *, always=False):
        return dice.pick(
            ([] if always else [NONE] * 20)
            + [
                Limits(servers=dice.some("ABC")),
                Limits(depth=dice.roll() % 3),
                Limits(uses=1 + dice.roll() % 3),
                Limits(opens=self.model.now + dice.pick((-5, 5, 60))),
                Limits(closes=self.model.now + dice.pick((5, 60, 700))),
            ]
        )

    def consent(self, dice, user, client):
        """One that this client has got before, a new one or none."""
        of_both = [
            c for c in self.consents if (c.user.username, c.client_id_value) == (user, client.name)
        ]
        consent = dice.pick((None, ConsentRecord(), *of_both))
        if consent is None or consent.pk:
            return consent
        consent = ConsentRecord.objects.create(
            request_digest=new_secret(),
            user=self.people[user],
            client=self.apps[client.name].row,
            client_id_value=client.name,
            decided_at=self.clock.time,
        )
        self.consents.append(consent)
        return consent

    def token(self, dice):
        newest, *older = reversed(self.texts)
        # So that some trees grow high
        return dice.pick([newest, newest, *older])

    def node(self, dice):
        return dice.pick(list(reversed(self.rows)))

    def client_for(self, token, dice):
        """More often one that may exchange it than any other."""
        able = [c for c in self.clients if c.speaks_for in token.audience] or self.clients
        one = dice.pick(able)
        return dice.pick((one, one, one, one, token.node.client, dice.pick(self.clients)))

    def row(self, node):
        return Delegation.objects.get(public_id=self.rows[node])

    def constraints(self, limits):
        return constraints_of(limits, self.start)

    def time(self, seconds):
        return None if seconds == NEVER else self.start + timedelta(seconds=seconds)


def judge_place(row, parent):
    assert row.path == (parent.path if parent else "/") + f"{row.public_id.hex}/"
    assert row.root_id == (parent.root_id if parent else row.public_id)
    assert row.depth == (parent.depth + 1 if parent else 0) <= model.MAX_DEPTH
    assert row.lineage == (parent.lineage + f"/{parent.delegate_id}/" if parent else "")
    if parent is None or row.revoked_at is not None:
        return
    assert parent.revoked_at is None
    assert row.scopes <= parent.scopes
    assert parent.expires_at is None or row.expires_at <= parent.expires_at
    assert row.constraints.is_within(parent.constraints.handed_on())
    assert (row.subject, row.consent_id) == (parent.subject, parent.consent_id)


def acting(claims):
    """The chain of actors in a token, the current one first."""
    act = claims.get("act")
    return (act["client_id"], *acting(act)) if act else ()


# The commoner ones stand there more often
DEEDS = (
    *[Site.exchange] * 6, *[Site.refresh] * 2, *[Site.revoke] * 3, *[Site.narrow] * 4,
    Site.switch, Site.wait, Site.open, Site.switch, Site.retune, Site.give_back, Site.lift,
)  # fmt: skip
ISSUED = [
    "token.issued",
    "token.refreshed",
    "token.refresh_retried",
    "token.exchanged",
    "token.impersonated",
]
# A byte says what is done and the others how. They are drawn as one: of a list, hypothesis would
# try many that differ in one place only.
STEP = 11
stories = st.binary(min_size=4 * STEP, max_size=6 * STEP)


@pytest.fixture
def site(db, settings):
    # So low that few steps come up against it
    settings.DELEGATION = {**settings.DELEGATION, "MAX_DEPTH": model.MAX_DEPTH}
    made = Site()
    with mock.patch("django.utils.timezone.now", made.clock):
        yield made


def tell(site, data):
    outer = transaction.atomic()
    # As Django's own TestCase marks the transaction around a test
    outer._from_testcase = True
    with outer:
        site.reset()
        for start in range(0, len(data), STEP):
            dice = Dice(data[start : start + STEP])
            deed = dice.pick(DEEDS)
            # Most deeds need a tree
            deed = Site.exchange if start < 3 * STEP else deed
            (deed if site.texts else Site.open)(site, dice)
        site.judge_tokens()
        site.judge_rows()
        transaction.set_rollback(True)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_tree_when_anything_happens_to_it_then_every_decision_is_the_models(site, part):
    # In parts, so that they can run side by side
    @seed(part)
    @hypothesis.settings(
        max_examples=EXAMPLES // PARTS,
        # To explain a failure takes many times as long as to find it
        phases=set(Phase) - {Phase.explain},
        suppress_health_check=list(HealthCheck),
    )
    @given(data=stories)
    def told(data):
        tell(site, data)

    told()


def test_client_when_all_that_it_holds_for_a_person_is_revoked_then_what_is_below_has_ended(
    world, story
):
    chain = Chain(story)

    # SQLite once looked for the trees again while it ended their first rows
    ended = revoke.of_user_at_client(world.alice, world.web.row, OPERATOR, reason="test")

    assert ended == 3
    assert chain.active() == [False] * 3
