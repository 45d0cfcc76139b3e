"""The services beside their reference model: each deed is done in both, and all is compared."""

import json
from contextlib import suppress
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone
from hypothesis import note

from delegation_app.models import (
    AccessToken,
    AuditEvent,
    Delegation,
    DelegationBlock,
    ResourceServer,
)
from delegation_app.protocol import names
from delegation_app.protocol.claims import client_subject, user_subject
from delegation_app.protocol.errors import InvalidToken, OAuthError, UnauthorizedClient
from delegation_app.protocol.requests.client_auth import PresentedCredentials
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit, signing_keys
from delegation_app.services.clients import authentication, lookup
from delegation_app.services.delegations import blocks, creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.tokens import introspection, local_verifier
from delegation_app.services.tokens import revocation as token_revocation
from tests.support import reference_model as model
from tests.support.clock import Clock
from tests.support.model_parts import (
    ISSUED,
    KNOWN,
    NONE,
    OPERATOR,
    PEOPLE,
    SCOPES,
    TIMES,
    acting,
    audience_of,
    constraints_of,
    judge_place,
    uri,
)
from tests.support.reference_model import EVERYWHERE, NEVER, Limits
from tests.support.token_request import handle
from tests.support.world import claims_of, make_app


class Site:
    """The implementation and the model, side by side."""

    def __init__(self, everybody, model_of=model.Model):
        self.everybody, self.model_of = everybody, model_of
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
        self.operator = lookup.find(operator.client_id, lookup.INTROSPECTS)
        self.people = {name: get_user_model().objects.create(username=name) for name in PEOPLE}
        self.signer = signing_keys.signer()
        self.clock = Clock(timezone.now().replace(microsecond=0) + timedelta(seconds=1))
        self.askers = {
            client.speaks_for: lookup.find(client.name, lookup.INTROSPECTS)
            for client in reversed(everybody())
            if client.speaks_for
        }

    def reset(self):
        self.start = self.clock.time
        self.clients = self.everybody()
        self.model = self.model_of(KNOWN)
        self.rows, self.texts, self.renewals = {}, {}, {}

    # What both are asked

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
        constraints = self.constraints(limits).as_json()
        sent = {
            "subject_token": self.texts[token],
            "subject_token_type": names.ACCESS_TOKEN,
            "audience": [uri(name) for name in targets],
            "scope": None if scope is None else " ".join(scope),
            "constraints": json.dumps(constraints) if constraints else None,
        }
        if self.is_public(client):
            # RFC 8693 section 5: found tokens must not be exchangeable by whoever finds them
            with pytest.raises(UnauthorizedClient):
                self.send(names.TOKEN_EXCHANGE, client, **sent)
            return
        found = self.compared(
            lambda: self.send(names.TOKEN_EXCHANGE, client, **sent),
            lambda: self.model.exchange(client, token, targets, scope, limits),
        )
        if found is None:
            return
        issued, (child, expected) = found
        self.took(issued, expected)
        assert (issued.refresh_token is not None) == client.refreshes
        if client.refreshes:
            renewal = self.model.issue(child, expected.scope, expected.audience, model.IDLE)
            self.renewals[renewal] = issued.refresh_token.text

    def refresh(self, dice):
        if not self.renewals:
            return
        renewal = dice.pick(list(reversed(self.renewals)))
        client = renewal.node.client
        note(f"{client.name} refreshes")
        text = self.renewals[renewal]
        found = self.compared(
            lambda: self.send(names.REFRESH_TOKEN, client, refresh_token=text),
            lambda: self.model.refresh(renewal),
        )
        if found is None:
            return
        issued, (successor, expected) = found
        assert (
            self.renewals.setdefault(successor, issued.refresh_token.text)
            == issued.refresh_token.text
        )
        self.took(issued, expected)

    def narrow(self, dice):
        node = self.node(dice)
        origin = self.taker(dice, node)
        part = dice.pick(("scope", "audience", "ends", "limits"))
        scope, audience, ends = None, None, None
        limits = self.limits(dice, always=True) if part == "limits" else NONE
        if part == "scope":
            scope = dice.some(dice.pick((sorted(node.all_scope()) or SCOPES, SCOPES)))
        elif part == "audience":
            audience = dice.some(dice.pick((sorted(node.all_audience()), "ABC")))
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
            lambda: creation.narrow(self.row(node), to, origin, reason="test"),
            lambda: self.model.narrow(
                node,
                node.all_scope() if scope is None else scope,
                node.all_audience() if audience is None else audience,
                node.last() if ends is None else ends,
                limits,
            ),
        )

    def revoke(self, dice):
        node = self.node(dice)
        (name, consent), client, nodes = node.whose, node.client, self.model.nodes
        user, application = self.people.get(name), self.apps[node.client.name].row
        several = {node, self.node(dice)}
        rows = [self.row(one) for one in several]
        ended = {"origin": self.taker(dice, node), "reason": "test"}
        of_user = {other for other in nodes if other.whose[0] == name}
        of_client = {other for other in nodes if other.client is client}
        # What both do; more often a single one, or the trees do not grow
        ways = {
            "it": (
                lambda: revocation.subtree(self.row(node), **ended),
                lambda: self.model.revoke({node}),
            ),
            "several": (
                lambda: revocation.revoke_delegations(rows, **ended),
                lambda: self.model.revoke(several),
            ),
            "of its client": (
                lambda: revocation.of_client(application, **ended),
                lambda: self.model.revoke(of_client, ("", client.name)),
            ),
            "of its user": (
                lambda: revocation.of_user(user, **ended),
                lambda: self.model.revoke(of_user, (name, "")),
            ),
            "of its user at its client": (
                lambda: revocation.of_user_at_client(user, application, **ended),
                lambda: self.model.revoke(of_user & of_client, (name, client.name)),
            ),
            "of its consent": self.way_of_consent(consent, ended),
        }
        possible = list(ways)[: 6 if consent else 5 if user else 3]
        way = dice.pick(["it", "it", *possible])
        note(f"revoked: {client.name}'s, {way}")
        deed, expected = ways[way]
        assert deed() == expected()

    def lift(self, dice):
        if not self.model.blocks:
            return
        block = dice.pick(list(reversed(self.model.blocks)))
        note(f"lifted: the block of {block.pair} since {block.at}")
        row = DelegationBlock.objects.order_by("pk")[self.model.blocks.index(block)]
        assert blocks.lift(row, OPERATOR, reason="test") == self.model.lift(block)

    def give_back(self, dice):
        """A client's own tokens; to give back a refresh token ends the delegation."""
        is_renewal = dice.roll() % 2 and self.renewals
        token = dice.pick(list(reversed(self.renewals))) if is_renewal else self.token(dice)
        note(f"{token.node.client.name} gives back {'a renewal' if is_renewal else 'a token'}")
        text = self.renewals[token] if is_renewal else self.texts[token]
        with suppress(OAuthError):
            client = self.authenticated(token.node.client)
            token_revocation.presented_token(text, client, self.origin(token.node.client))
            if is_renewal:
                self.model.revoke({token.node}, is_taken=False)
            token.revoked = True

    def wait(self, dice):
        seconds = dice.pick(TIMES)
        note(f"{seconds} s pass")
        self.forward(seconds)

    def forward(self, seconds):
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
        answer = introspection.introspect(text, caller)
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
        self.judge_blocks()

    def judge_row(self, row, node):
        assert (row.revoked_at is not None) == node.is_over()
        assert row.actors == [{"sub": f"client:{name}", "client_id": name} for name in node.actors]
        if node.is_over():
            return
        limits = node.all_limits()
        assert frozenset(row.scopes) == node.all_scope()
        assert row.audience == audience_of(node.all_audience())
        assert row.constraints == self.constraints(limits)
        assert row.expires_at == self.time(node.last())
        assert row.uses == node.uses
        assert row.max_uses == (None if limits.uses == NEVER else limits.uses)
        allowed = node.root().allowed
        assert row.allowed_at == (None if allowed == -NEVER else self.time(allowed))

    def judge_blocks(self):
        rows = DelegationBlock.objects.order_by("pk")
        for row, block in zip(rows, self.model.blocks, strict=True):
            assert (row.subject, row.client_id_value) == self.named(block.pair)
            assert row.blocked_at == self.time(block.at)
            assert (row.lifted_at is not None) == block.lifted
            assert row.everything == (block.power is None)
            if block.power is None:
                continue
            assert frozenset(row.scopes) == block.power.scope
            assert row.audience == audience_of(block.power.audience)
            assert row.constraints == self.constraints(block.power.limits)
            assert row.ends_at == self.time(block.power.ends)

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
        assert caught.value.code in codes, (codes, caught.value, caught.value.detail)
        return None

    def took(self, issued, expected):
        """Check an answer against the token that the model expects, and remember it."""
        # The same delegation where the model says so, and otherwise one that was not there before
        known = {row: node for node, row in self.rows.items()}
        row = issued.access.delegation.public_id
        assert known.get(row, expected.node) is expected.node
        assert self.rows.setdefault(expected.node, row) == row
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

    def is_public(self, _client):
        return False

    def authenticated(self, client):
        app = self.apps[client.name]
        credentials = PresentedCredentials(app.client_id, app.secret, names.BASIC)
        return authentication.authenticate(credentials, ip=None)

    def origin(self, client):
        return audit.RequestContext(actor=client_subject(client.name))

    def send(self, grant_type, client, **sent):
        return handle(grant_type, self.authenticated(client), self.origin(client), **sent)

    def taker(self, _dice, _node):
        return OPERATOR

    def named(self, pair):
        """A pair as it stands in the tables."""
        subject, client = pair
        if subject in self.people:
            return user_subject(self.people[subject].pk), client
        return subject and client_subject(subject), client

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
