"""What people said yes to, and what clients get on it: the model of what was taken."""

from dataclasses import dataclass, replace

from tests.support.reference_model import IDLE, NEVER, Model, Node, Power, Refused, Token

CODE, DEVICE_CODE = 60, 600
PAGE, DEVICE, TRUSTED = "page", "device", "trusted"
# Where a page says that its services get, beside its own audience
REACHED = frozenset("B")


@dataclass(eq=False)
class Answer:
    """What a user said to a page, or what a trusted client got without one."""

    pair: tuple
    scope: frozenset
    audience: frozenset
    at: float
    ends: float
    channel: str
    refused: frozenset = frozenset()
    withdrawn: bool = False


class Taken(Model):
    def __init__(self, servers):
        super().__init__(servers)
        self.answers = []

    def redeem(self, node, until):
        """The tokens for a code, or for a device that was allowed: to use, and to renew."""
        with node.within(power := self.due(node), self.tokens):
            is_good = power and self.now < until and self.is_live(node)
            where, scope = self.left(Token(node, node.all_scope(), node.all_audience(), until))
            Refused.if_any(
                invalid_grant=not is_good or not self.may_issue(node, where),
                invalid_scope=not scope,
                invalid_target=not where,
                expired_token=self.now >= until,
            )
        first = self.issue(node, scope, where)
        return first, self.issue(node, node.all_scope(), node.all_audience(), IDLE)

    def stand(self, client, scope, audience):
        """A token for a client that acts for itself."""
        terms = {"client": client, "parent": None, "scope": scope, "audience": audience}
        new = Node(**terms, whose=("", None), allowed=-NEVER, limits=client.limits, ends=NEVER)
        new.terms = terms
        same, power = self.found(terms, new)
        node = same or new
        with node.within(power, self.tokens):
            Refused.if_any(
                unauthorized_client=not power or not self.may_issue(node, node.all_audience())
            )
        self.nodes += [] if same else [node]
        return node, self.issue(node, scope & node.scope, audience & node.all_audience())

    # What a yes gives back

    def binding(self, node, power):
        """The blocks that bind it: the older ones without what pages have given back since."""
        allowed = node.root().allowed
        if not node.parent or allowed == -NEVER:
            return super().binding(node, power)
        found = [block for block in self.blocks if block.binds(node.pair(), -NEVER)]
        parts = ([b] if b.at >= allowed else self.rest(b, node, power) for b in found)
        return [part for some in parts for part in some]

    def rest(self, block, node, power):
        """What is left of a block, place by place; all pages say that it comes back there."""
        bound, back = block.power or power, self.given_back(block, node)
        for place in sorted(bound.audience) if bound else ():
            given = frozenset().union(*(scope for scope, where in back if place in where))
            if scope := bound.scope - given:
                left = replace(bound, scope=scope, audience=frozenset({place}))
                # Of everything: without limits, whatever those of the power are
                left = left if block.power else Power(left.scope, left.audience)
                yield replace(block, power=left)

    def given_back(self, block, node):
        """The scopes and places of the answers that gave something of a block back."""
        root, answer = node.root(), node.root().whose[1]
        if node.client is root.client:
            return [(answer.scope, answer.audience)]
        pair = root.whose[0], root.client.name
        return [
            (one.scope, one.audience | REACHED)
            for one in self.answers
            if one.pair == pair and one.channel != TRUSTED and not one.withdrawn
            and self.now < one.ends and block.at <= one.at <= root.allowed
        ]  # fmt: skip

    # Answers

    def withdraw(self, answer):
        """Take an answer back; a second time nothing more is taken."""
        was_withdrawn, answer.withdrawn = answer.withdrawn, True
        chosen = {node for node in self.nodes if node.whose[1] is answer}
        if was_withdrawn:
            return self.revoke(chosen, is_taken=False)
        return self.revoke(chosen, answer.pair, Power(answer.scope, answer.audience))

    def end_all(self, user, client):
        """End everything of a user, or at one client, and take back all answers that speak."""
        mine = {node for node in self.nodes if node.whose[0] == user}
        ended = self.revoke({n for n in mine if client in {"", n.client.name}}, (user, client))
        for answer in self.answers:
            is_chosen = answer.pair[0] == user and client in {"", answer.pair[1]}
            if is_chosen and answer.channel != TRUSTED and self.now < answer.ends:
                answer.withdrawn = True
        return ended

    def speaking(self, answer, pair, audience, channel):
        """The scopes that an answer still lets a client have at an audience without a page."""
        is_its = (answer.pair, answer.channel) == (pair, channel) and audience <= answer.audience
        if not is_its or answer.withdrawn or answer.ends <= self.now:
            return frozenset()
        since = [block for block in self.blocks if block.binds(pair, answer.at)]
        taken = (Power(frozenset({name}), audience) for name in answer.scope)
        left = frozenset().union(
            *(one.scope for one in taken if not any(block.touches(one) for block in since))
        )
        later = self.answers[self.answers.index(answer) + 1 :]
        return left - self.refused(later, pair, audience, channel)

    def refused(self, answers, pair, audience, channel):
        """What was left out on some pages, or denied, at any of these places."""
        return frozenset().union(
            *(
                one.refused
                for one in answers
                if (one.pair, one.channel) == (pair, channel) and one.audience & audience
            )
        )

    def covering(self, pair, scope, audience):
        for answer in reversed(self.answers):
            if scope <= self.speaking(answer, pair, audience, PAGE):
                return answer
        return None

    def known(self, pair, scope, audience):
        """What a page need not ask again."""
        spoken = (self.speaking(answer, pair, audience, PAGE) for answer in self.answers)
        return scope & frozenset().union(*spoken)

    def sign_in(self, client, user, scope, audience):
        """The delegation that a client gets without a page."""
        pair, power = (user, client.name), Power(scope, audience)
        page = self.covering(pair, scope, audience)
        is_taken = any(b.binds(pair, -NEVER) and b.touches(power) for b in self.blocks)
        # Wherever it was refused
        for channel in (PAGE, DEVICE):
            is_taken |= bool(scope & self.refused(self.answers, pair, audience, channel))
        Refused.if_any(consent_required=not page and (is_taken or not client.trusted))
        answer = page
        if client.trusted:
            answer = Answer(pair, scope, audience, self.now, NEVER, TRUSTED)
            self.answers.append(answer)
        return self.allow(client, answer, power, page.at if page else -NEVER)

    def deny(self, client, user, scope, audience, channel):
        """A no opens nothing, and what it was about is asked again."""
        pair = user, client.name
        self.answers.append(
            Answer(pair, frozenset(), audience, self.now, self.now, channel, refused=scope)
        )

    def say_yes(self, client, user, power, channel, asked):
        """The delegation that a person opens on a page: all of it speaks from now on."""
        pair, left_out = (user, client.name), asked - power.scope
        answer = Answer(pair, power.scope, power.audience, self.now, power.ends, channel, left_out)
        self.answers.append(answer)
        return self.allow(client, answer, power, self.now, is_asked=True)

    def allow(self, client, answer, power, allowed, *, is_asked=False):
        power = replace(power, limits=client.limits, ends=answer.ends)
        whose = answer.pair[0], answer
        node = self.open(client, whose, power, allowed, is_asked=is_asked)
        self.nodes.append(node)
        return node
