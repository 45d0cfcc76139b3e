"""Random trees of delegations, where every decision is compared with the reference model."""

from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from hypothesis import note
from hypothesis import strategies as st

from delegation_app.models import ClientPolicy, ConsentRecord, ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import new_secret
from delegation_app.services.clients import lookup
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.terms import SignIn, Terms
from delegation_app.services.tokens import issuing
from tests.support import model_site
from tests.support import reference_model as model
from tests.support.chains import Chain
from tests.support.model_parts import (
    KNOWN,
    OPERATOR,
    PARTS,
    PEOPLE,
    READ,
    SCOPES,
    WRITE,
    Client,
    Dice,
    audience_of,
    explore,
)
from tests.support.reference_model import EVERYWHERE, NEVER, Limits


def everybody():
    return [
        Client("web", frozenset("AB"), refreshes=True),
        Client("app", frozenset("AC"), may_act="of-a"),
        Client("of-a", frozenset("AB"), "A"),
        Client("of-b", frozenset("AC"), "B", lifetime=900, refreshes=True),
        Client("of-c", frozenset("A"), "C", frozenset({READ, WRITE}), Limits(uses=4)),
        Client(
            "any", frozenset("ABC"), "A", may_impersonate=True, limits=Limits(depth=2), lifetime=500
        ),
    ]


class Site(model_site.Site):
    """Trees are opened at once, and policies and switches change."""

    def reset(self):
        super().reset()
        self.consents = []

    def open(self, dice):
        client, user = dice.pick(self.clients), dice.pick((*PEOPLE, ""))
        available = sorted(client.targets - self.model.off)
        if not available:
            return
        power = model.Power(
            dice.some(SCOPES),
            dice.some(available),
            self.limits(dice),
            self.model.now + dice.pick((NEVER, 2000, 300, 300)),
        )
        is_asked = bool(user) and dice.pick((True, True, False))
        consent = self.consent(dice, user, client) if user else None
        note(f"{client.name} opens {user} {power} {'on a page' if is_asked else ''}")
        allowed = self.model.now if is_asked else -NEVER
        terms = Terms(
            client=lookup.find(client.name),
            scope=Scope(power.scope),
            audience=audience_of(power.audience),
            grant_type=names.AUTHORIZATION_CODE,
            constraints=self.constraints(power.limits),
            sign_in=SignIn(self.people[user], self.clock.time, "1") if user else None,
            consent=consent,
            expires_at=self.time(power.ends),
            allowed_at=self.clock.time if is_asked else None,
        )
        found = self.compared(
            lambda: self.first_tokens(terms, is_asked),
            lambda: self.opened(client, (user, consent), power, allowed, is_asked=is_asked),
        )
        if found is None:
            return
        issued, (first, renewal) = found
        self.took(issued, first)
        self.renewals[renewal] = issued.refresh_token.text

    def first_tokens(self, terms, is_asked):
        with transaction.atomic():
            delegation = creation.create(terms, OPERATOR, just_allowed=is_asked)
            token = issuing.TokenParameters(delegation, terms.client, terms.scope, terms.audience)
            text = new_secret()
            refresh_token = issuing.issue_refresh_token(issuing.within(token), text)
            return issuing.issue(token, OPERATOR, refresh_token=refresh_token)

    def opened(self, client, whose, power, allowed, *, is_asked):
        node = self.model.open(client, whose, power, allowed, is_asked=is_asked)
        model.Refused.if_any(invalid_grant=not self.model.may_issue(node, node.audience))
        self.model.nodes.append(node)
        first = self.model.issue(node, node.scope, node.audience)
        return first, self.model.issue(node, node.scope, node.audience, model.IDLE)

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
            subject=user_subject(self.people[user].pk),
            client=self.apps[client.name].row,
            client_id_value=client.name,
            scopes_granted=Scope(SCOPES),
            audience=audience_of(EVERYWHERE),
            decided_at=self.clock.time,
        )
        self.consents.append(consent)
        return consent

    def way_of_consent(self, consent, ended):
        chosen = {node for node in self.model.nodes if consent and node.whose[1] == consent}
        pair = consent and (consent.user.username, consent.client_id_value)
        power = model.Power(frozenset(SCOPES), EVERYWHERE)
        return (
            lambda: revocation.of_consent(consent, **ended),
            lambda: self.model.revoke(chosen, pair, power),
        )

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


# The commoner ones stand there more often
DEEDS = (
    *[Site.exchange] * 6, *[Site.refresh] * 2, *[Site.revoke] * 3, *[Site.narrow] * 4,
    Site.switch, Site.wait, *[Site.open] * 2, Site.switch, Site.retune, Site.give_back,
    *[Site.lift] * 2,
)  # fmt: skip
# A byte says what is done and the others how. They are drawn as one: of a list, hypothesis would
# try many that differ in one place only.
STEP = 11
stories = st.binary(min_size=4 * STEP, max_size=6 * STEP)


@pytest.fixture
def site(db, settings):
    # So low that few steps come up against it
    settings.DELEGATION = {**settings.DELEGATION, "MAX_DEPTH": model.MAX_DEPTH}
    made = Site(everybody)
    with mock.patch("django.utils.timezone.now", made.clock):
        yield made


def tell(site, data):
    site.reset()
    for start in range(0, len(data), STEP):
        dice = Dice(data[start : start + STEP])
        deed = dice.pick(DEEDS)
        # Most deeds need a tree
        deed = Site.exchange if start < 3 * STEP else deed
        (deed if site.texts else Site.open)(site, dice)
    site.judge_tokens()
    site.judge_rows()


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_tree_when_anything_happens_to_it_then_every_decision_is_the_models(site, part):
    explore(part, stories, lambda data: tell(site, data))


def test_client_when_all_that_it_holds_for_a_person_is_revoked_then_what_is_below_has_ended(
    world, story
):
    chain = Chain(story)

    # SQLite once looked for the trees again while it ended their first rows
    ended = revocation.of_user_at_client(world.alice, world.web.row, OPERATOR, reason="test")

    assert ended == 3
    assert chain.active() == [False] * 3
