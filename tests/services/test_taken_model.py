"""What was taken, and every way to have it back: each decision compared with the model."""

from dataclasses import replace
from datetime import timedelta
from unittest import mock

import pytest
from hypothesis import note
from hypothesis import strategies as st

from delegation_app.conf import conf
from delegation_app.models import (
    AccessToken,
    ConsentRecord,
    Delegation,
    DelegationBlock,
    DeviceCode,
)
from delegation_app.protocol import names
from delegation_app.protocol.claims import user_subject
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import (
    InvalidToken,
    OutsideLimits,
    RedirectTarget,
)
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import digest, new_secret
from delegation_app.protocol.verified_token import Call, VerifiedToken
from delegation_app.services import audit
from delegation_app.services.clients import lookup
from delegation_app.services.connections import actions
from delegation_app.services.consent import approval, decision, history, preparation
from delegation_app.services.consent.decision import Answer
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.consent.screen import Screen
from delegation_app.services.delegations.terms import SignIn
from delegation_app.services.status_lists import invalid_tokens, publication
from tests.support import model_site
from tests.support import reference_model as model
from tests.support.model_parts import (
    KNOWN,
    OPERATOR,
    PARTS,
    READ,
    SCOPES,
    WRITE,
    Client,
    Dice,
    audience_of,
    explore,
    uri,
)
from tests.support.reference_model import EVERYWHERE, NEVER, Limits, Power
from tests.support.taken_model import CODE, DEVICE, DEVICE_CODE, PAGE, REACHED, Taken
from tests.support.world import CHALLENGE, VERIFIER, claims_of

MOSTLY = ("alice", "alice", "alice", "bob")
GRANTS = (names.AUTHORIZATION_CODE, names.REFRESH_TOKEN, names.TOKEN_EXCHANGE)
# What a user may choose to shorten a connection to, in seconds
SHORTER = (NEVER, NEVER, 3600, 300)


def everybody():
    return [
        Client("web", frozenset("AB"), grants=GRANTS),
        Client("hub", frozenset("AB"), grants=GRANTS, trusted=True),
        Client("tv", frozenset("A"), grants=(names.DEVICE_CODE, names.REFRESH_TOKEN), public=True),
        Client("of-a", frozenset("AB"), "A", refreshes=True),
        Client("of-b", frozenset("AC"), "B", frozenset({READ, WRITE}), lifetime=900),
        Client("of-c", frozenset("A"), "C"),
        Client("cron", frozenset("AB"), limits=Limits(uses=4), grants=(names.CLIENT_CREDENTIALS,)),
    ]


def by(asked):
    """The user as the one who acts."""
    return audit.RequestContext(actor=asked.sign_in.subject)


class Site(model_site.Site):
    """People answer pages, apps come back without one, and what was taken is asked for again."""

    def __init__(self, everybody):
        super().__init__(everybody, Taken)
        self.known = {client.name: lookup.find(client.name) for client in everybody()}

    def reset(self):
        super().reset()
        self.pending = []

    # The ways to authority

    def sign_in(self, dice):
        """An app asks; without a page if it may, else the person says yes, or does not."""
        client, user = self.client(dice.pick(("web", "web", "hub"))), dice.pick(MOSTLY)
        scope, audience = self.asked_for(dice)
        prompt = dice.pick(("", "", "", "none", "none", "consent"))
        note(f"{client.name} asks {user} for {set(scope)} at {set(audience)} {prompt}")
        question = self.question(client, user, scope, audience)
        if prompt == "consent":
            self.answer(dice, question, scope, audience, whole=True)
            return
        found = self.compared(
            lambda: self.silent(question, client),
            lambda: self.model.sign_in(client, user, scope, audience),
        )
        if found is not None:
            redeem, node = found
            self.opened(dice, redeem, node, CODE)
        elif not prompt:
            self.answer(dice, question, scope, audience, whole=False)

    def silent(self, question, client):
        found = preparation.prepare(replace(question, prompts=frozenset({"none"})), by(question))
        return self.redemption(found.code, client)

    def answer(self, dice, question, scope, audience, *, whole):
        client = self.client(question.client.client_id)
        user = question.sign_in.user.username
        known = self.model.known((user, client.name), scope, audience)
        held = frozenset() if whole or known == scope else known
        prompts = frozenset({"consent"} if whole else ())
        question = replace(question, prompts=prompts)
        question = history.with_previous_grants(history.look_up(question))
        assert frozenset(question.already_granted) == held
        if dice.roll() % 5 == 1:
            note(f"  {user} says no")
            decision.decide(question, Answer(is_denial=True), by(question))
            self.model.deny(client, user, scope - held, audience, PAGE)
            return
        ticked, shorter = dice.some(sorted(scope - held)), dice.pick(SHORTER)
        note(f"  {user} says yes to {set(ticked)} for {shorter} s")
        power = self.power(ticked | held, audience, shorter)
        node = self.model.say_yes(client, user, power, PAGE, scope)
        answer = Answer(Scope(ticked), None if shorter == NEVER else timedelta(seconds=shorter))
        outcome = decision.decide(question, answer, by(question), self.told)
        self.opened(dice, self.redemption(outcome.code, client), node, CODE)

    def connect(self, dice):
        """A device asks, and a person says yes; there is no other way."""
        client, user = self.client("tv"), dice.pick(MOSTLY)
        ticked, shorter = dice.some(SCOPES), dice.pick(SHORTER)
        note(f"{user} connects {client.name} for {set(ticked)}")
        code = new_secret()
        row = DeviceCode.objects.create(
            digest=digest(code),
            client=self.apps[client.name].row,
            client_id_value=client.name,
            scope=Scope(SCOPES),
            audience=audience_of("A"),
            issued_at=self.clock.time,
            expires_at=self.clock.time + conf.device_code_lifetime,
            interval=5,
        )
        asked = ConsentRequest(
            self.known[client.name],
            SignIn(self.people[user], self.clock.time, "1"),
            Scope(SCOPES),
            audience_of("A"),
            Constraints(),
            names.DEVICE_CODE,
            device=row,
        )
        power = self.power(ticked, frozenset("A"), shorter)
        node = self.model.say_yes(client, user, power, DEVICE, frozenset(SCOPES))
        lifetime = None if shorter == NEVER else timedelta(seconds=shorter)
        decision.decide(asked, Answer(Scope(ticked), lifetime), by(asked), self.told)
        self.opened(
            dice,
            lambda: self.send(names.DEVICE_CODE, client, device_code=code),
            node,
            DEVICE_CODE,
        )

    def told(self, asked):
        """A page that says of everything taken so far that it comes back, where it reaches."""
        found = DelegationBlock.objects.values_list("public_id", flat=True)
        marks = [[client.name, str(block)] for client in self.clients for block in found]
        reach = [*asked.audience, *(uri(name) for name in REACHED)]
        return Screen(asked, {"restores": marks, "reach": reach}, "", self.clock.time)

    def opened(self, dice, redeem, node, lifetime):
        """Check what was opened, and redeem the code, now or later."""
        row = Delegation.objects.latest("pk")
        self.rows[node] = row.public_id
        if node.root().allowed < self.model.now:
            self.judge_taken(node, row.scopes, row.audience, row.constraints, row.expires_at)
        self.pending.append((node, redeem, self.model.now + lifetime))
        if dice.roll() % 4:
            self.redeem(dice)

    def redeem(self, _dice):
        if not self.pending:
            return
        node, redeem, until = self.pending.pop()
        note(f"{node.client.name} redeems its code")
        found = self.compared(redeem, lambda: self.model.redeem(node, until))
        if found is None:
            return
        issued, (first, renewal) = found
        self.took(issued, first)
        self.renewals[renewal] = issued.refresh_token.text

    def stand(self, dice):
        client = self.client("cron")
        scope, audience = self.asked_for(dice)
        note(f"cron asks for {set(scope)} at {set(audience)}")
        sent = {"scope": str(Scope(scope)), "resource": list(audience_of(audience))}
        found = self.compared(
            lambda: self.send(names.CLIENT_CREDENTIALS, client, **sent),
            lambda: self.model.stand(client, scope, audience),
        )
        if found is not None:
            issued, (_node, expected) = found
            self.took(issued, expected)

    # The ways to take, beside those of every site

    def end_all(self, dice):
        """A person ends everything, or everything of one app, with all answers that speak."""
        node = self.node(dice)
        user, name = node.whose[0], dice.pick(("", node.client.name))
        if not user:
            return
        note(f"{user} ends everything of {name or 'all apps'}")
        origin = audit.RequestContext(actor=user_subject(self.people[user].pk))
        ended = actions.end_all(self.people[user], origin, reason="", client_id=name)
        assert ended == self.model.end_all(user, name)

    def way_of_consent(self, answer, ended):
        def withdrawn():
            record = ConsentRecord.objects.order_by("pk")[self.model.answers.index(answer)]
            return approval.withdraw(record, ended["origin"], reason=ended["reason"])

        return withdrawn, lambda: self.model.withdraw(answer)

    def taker(self, dice, node):
        """An operator, or the person whose it is."""
        user = dice.pick(("", node.whose[0]))
        return audit.RequestContext(actor=user_subject(self.people[user].pk)) if user else OPERATOR

    # What must be so

    def took(self, issued, expected):
        super().took(issued, expected)
        row, node = issued.access, expected.node
        # What a person opened on a page, and did not touch, goes on
        if not node.is_on_a_page():
            constraints = row.delegation.constraints
            self.judge_taken(node, row.scope, row.audience, constraints, row.expires_at)

    def judge_taken(self, node, scope, audience, constraints, ends):
        """Compare what was issued with each block by itself: nothing of it, or within its limit."""
        held = Power(
            frozenset(scope), frozenset(name for name in EVERYWHERE if uri(name) in audience)
        )
        for block in self.model.binding(node, held):
            what = block.power
            assert what is not None
            if not (Scope(what.scope) & scope and audience_of(what.audience) & audience):
                continue
            assert block.is_limit(self.model.now)
            assert constraints.is_within(self.constraints(what.limits))
            assert what.ends == NEVER or ends <= self.time(what.ends)

    def judge_offline(self):
        """What services make of tokens that have only the token and the status list."""
        texts = {t: text for t, text in self.texts.items() if "C" not in t.audience}
        read = {token: VerifiedToken.of(claims_of(text)) for token, text in texts.items()}
        keys = dict(AccessToken.objects.values_list("jti", "pk"))
        all_of_them = range(min(keys.values(), default=0), max(keys.values(), default=0) + 1)
        marked = invalid_tokens.ids(all_of_them, self.clock.time)
        for token, verified in read.items():
            key = keys[verified.jti]
            assert verified.status == publication.reference(key)
            for name in token.audience:
                found = frozenset() if key in marked else self.taken_offline(verified, name)
                is_cut = token.is_wider() and not found
                assert is_cut or found == self.model.seen(token, {name})

    def taken_offline(self, verified, name):
        now = self.clock.time.timestamp()
        try:
            verified.require(uri(name))
            verified.enforce(uri(name), Call(), now)
        except (InvalidToken, OutsideLimits):
            return frozenset()
        return frozenset(verified.scope) & KNOWN[name] if now < verified.expires_at else frozenset()

    # Helpers

    def token(self, dice):
        # The same one again, so that its children stand side by side
        return dice.pick(list(self.texts))

    def asked_for(self, dice):
        """A scope at an audience that knows all of it."""
        wanted = frozenset(dice.pick(((READ, WRITE), (READ,), (WRITE,), SCOPES)))
        audience = frozenset(dice.pick(("A", "A", "AB", "B")))
        known = wanted & frozenset().union(*(KNOWN[name] for name in audience))
        return known or frozenset({READ}), audience

    def question(self, client, user, scope, audience):
        known = self.known[client.name]
        return ConsentRequest(
            client=known,
            sign_in=SignIn(self.people[user], self.clock.time, "1"),
            scope=Scope(scope),
            audience=audience_of(audience),
            constraints=known.policy.constraints,
            grant_type=names.AUTHORIZATION_CODE,
            handle=new_secret(),
            target=RedirectTarget(f"https://{client.name}.example.com/callback", None, conf.issuer),
            code_challenge=CHALLENGE,
        )

    def redemption(self, code, client):
        sent = {"code": code, "code_verifier": VERIFIER}
        return lambda: self.send(names.AUTHORIZATION_CODE, client, **sent)

    def client(self, name):
        return next(client for client in self.clients if client.name == name)

    def is_public(self, client):
        return not self.known[client.name].is_confidential

    def authenticated(self, client):
        return self.known[client.name]

    def power(self, scope, audience, shorter):
        return model.Power(scope, audience, ends=self.model.now + shorter)


# What a story is about: all at once, or one way to authority with what is taken on it, so that the
# same pair is met again. About half of the deeds take.
TAKING = (*[Site.revoke] * 2, *[Site.narrow] * 2, *[Site.lift] * 2, Site.wait)
APPS = (*[Site.sign_in] * 6, Site.redeem, Site.refresh, Site.end_all, Site.give_back, *TAKING)
SERVICES = (*[Site.exchange] * 5, *[Site.refresh] * 3, Site.sign_in, Site.give_back, *TAKING)
NOT_ENDED = (*[Site.stand] * 6, *TAKING)
ALL = (*APPS, *SERVICES, *NOT_ENDED, Site.connect, Site.connect)
STEP = 11
stories = st.binary(min_size=7 * STEP + 1, max_size=9 * STEP + 1)


@pytest.fixture
def site(db, settings):
    # Many stories are told within one minute
    limits = {
        "MAX_DEPTH": model.MAX_DEPTH,
        "NON_INTERACTIVE_CODES_PER_MINUTE": 10**6,
        "DELEGATION_LIFETIME": None,
    }
    settings.DELEGATION = {**settings.DELEGATION, **limits}
    made = Site(everybody)
    with mock.patch("django.utils.timezone.now", made.clock):
        yield made


def tell(site, data):
    site.reset()
    deeds = Dice(data).pick((APPS, SERVICES, NOT_ENDED, ALL))
    first = Site.stand if deeds is NOT_ENDED else Site.sign_in
    for start in range(1, len(data), STEP):
        dice = Dice(data[start : start + STEP])
        deed = dice.pick(deeds)
        (deed if site.texts else first)(site, dice)
        # So that no answer and no taking are at the same moment
        site.forward(1)
    site.judge_tokens()
    site.judge_offline()
    site.judge_rows()


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_pair_when_anything_was_taken_from_it_then_it_has_what_the_model_says(site, part):
    explore(part, stories, lambda data: tell(site, data))
