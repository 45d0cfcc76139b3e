"""What must be true of delegations and of what was taken, in sets and without a database.

Nothing is copied down a tree. A refusal names every fault: which is found first is left open.
Times are seconds; `-NEVER` stands for no time at all.
"""

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

MAX_DEPTH, ACCESS, IDLE, RETRY, NEVER = 2, 600, 2_592_000, 60, float("inf")
EVERYWHERE, PUBLIC_RETRY = frozenset("ABC"), 10


class Refused(Exception):
    @classmethod
    def if_any(cls, **faults):
        if found := {code for code, is_one in faults.items() if is_one}:
            raise cls(found)


@dataclass(frozen=True)
class Limits:
    servers: frozenset = EVERYWHERE
    depth: float = NEVER
    uses: float = NEVER
    opens: float = -NEVER
    closes: float = NEVER

    def __and__(self, other):
        least = {n: min(getattr(self, n), getattr(other, n)) for n in ("depth", "uses", "closes")}
        return Limits(self.servers & other.servers, opens=max(self.opens, other.opens), **least)

    def permit(self, audience, now):
        return audience <= self.servers and self.opens <= now < self.closes

    def is_empty(self):
        return not self.servers or self.opens >= self.closes


@dataclass(frozen=True)
class Power:
    """What a delegation allows: each scope at each server, within limits, until its end."""

    scope: frozenset
    audience: frozenset
    limits: Limits = Limits()
    ends: float = NEVER


@dataclass(eq=False)
class Block:
    """What was taken from a pair. Without a name: from everybody; without a power: everything."""

    pair: tuple
    at: float
    power: Power | None = None
    lifted: bool = False

    def binds(self, pair, since):
        return self.names(pair) and not self.lifted and self.at >= since

    def names(self, pair):
        return all(mine in {"", name} for mine, name in zip(self.pair, pair, strict=True))

    def touches(self, power):
        mine = self.power
        return not mine or bool(mine.scope & power.scope and mine.audience & power.audience)

    def is_limit(self, now):
        """Whether it leaves what it names, within limits."""
        mine = self.power
        return (mine.limits, mine.ends) != (Limits(), NEVER) and now < mine.ends

    def cut(self, power, now):
        """What it leaves of a power: within its limits if it is one, else without what it names."""
        mine = self.power
        if not mine:
            return None
        limits = power.limits & mine.limits
        if self.is_limit(now) and not limits.is_empty():
            return replace(power, limits=limits, ends=min(power.ends, mine.ends))
        if power.scope - mine.scope:
            return replace(power, scope=power.scope - mine.scope)
        audience = power.audience - mine.audience
        return replace(power, audience=audience) if audience else None


class Node:
    whose, actors, terms, revoked, uses, changed = (), (), None, False, 0, 0
    # After how many tokens it came about; what was taken of its audience, and after how many
    born, taken = 0, ()

    def __init__(self, **values):
        vars(self).update(values)

    def line(self):
        return [self, *(self.parent.line() if self.parent else [])]

    def root(self):
        return self.line()[-1]

    def pair(self):
        """The principal, a person or the client of the root itself, and the delegate."""
        return self.whose[0] or self.root().client.name, self.client.name

    def is_on_a_page(self):
        """Whether a person answered a page for it: neither passed on nor without a question."""
        return self.parent is None and self.root().allowed > -NEVER

    @contextmanager
    def within(self, power, tokens):
        """Keep it within a power for good, unless what happens meanwhile is refused."""
        before = dict(vars(self))
        power = power or Power(frozenset(), frozenset())
        self.changed = self.changed if power == self.power() else tokens
        self.take(power.audience, tokens)
        vars(self).update(vars(power))
        try:
            yield
        except Refused:
            vars(self).clear()
            vars(self).update(before)
            raise

    def take(self, left, tokens):
        """Leave a part of its audience, here and where its client has it back from others below."""
        self.taken = (*self.taken, (self.all_audience() - left, tokens))

    def power(self):
        return Power(self.all_scope(), self.all_audience(), self.all_limits(), self.last())

    def is_own(self):
        """Whether its client exchanged what it held itself."""
        return bool(self.parent) and self.parent.client is self.client

    def all_audience(self):
        mine = [above for above in self.line()[1:] if above.client is self.client]
        gone = [what for above in mine for what, tokens in above.taken if self.born < tokens]
        return self.audience.difference(*gone)

    def is_given(self):
        """Whether its client has it by what is left above, where it stands or by its name."""
        if not self.parent or self.is_own():
            return True
        above = self.parent.client
        if above.may_act:
            return above.may_act == self.client.name
        return self.client.speaks_for in self.parent.all_audience()

    def all_limits(self):
        return self.limits & self.parent.for_child() if self.parent else self.limits

    def for_child(self):
        return replace(self.all_limits(), depth=max(self.all_limits().depth - 1, 0))

    def all_scope(self):
        return frozenset.intersection(*(node.scope for node in self.line()))

    def last(self):
        return min(node.ends for node in self.line())

    def is_over(self):
        is_empty = not self.all_scope() or self.all_limits().is_empty()
        return is_empty or any(
            node.revoked or not node.all_audience() or not node.is_given() for node in self.line()
        )


class Token:
    revoked, successor, rotated = False, None, NEVER

    def __init__(self, node, scope, audience, ends, number=0):
        self.node, self.scope, self.audience, self.ends = node, scope, audience, ends
        self.number, self.got = number, []

    def is_wider(self):
        """Whether its delegation, or one above, was narrowed after it was issued."""
        return any(self.number <= above.changed for above in self.node.line())


class Model:
    def __init__(self, servers):
        self.servers, self.now, self.off, self.tokens = servers, 0, set(), 0
        self.nodes, self.blocks = [], []

    def is_live(self, node):
        names = {*node.whose, *(above.client.name for above in node.line())}
        return not node.is_over() and self.now < node.last() and not names & self.off

    def left(self, token, where=EVERYWHERE):
        where &= token.audience & token.node.all_audience() & token.node.client.targets - self.off
        known = frozenset().union(*(self.servers[name] for name in where))
        return where, token.scope & token.node.all_scope() & token.node.client.scope & known

    def is_active(self, token):
        return not token.revoked and self.now < token.ends and self.is_live(token.node)

    def seen(self, token, where=EVERYWHERE):
        limits = token.node.all_limits()
        usable = frozenset(name for name in where if limits.permit({name}, self.now))
        return self.left(token, usable)[1] if self.is_active(token) else frozenset()

    def spent(self, node):
        """How many tokens the pair got on what the same page allowed."""
        others = (
            n for n in self.nodes
            if n.pair() == node.pair() and n.root().allowed == node.root().allowed
            and n.all_limits().uses < NEVER and n not in node.line() and node not in n.line()
        )  # fmt: skip
        return node.uses + sum(other.uses for other in others)

    def may_issue(self, node, audience, *, is_again=False):
        """Whether its limits permit one more token, or one in place of another."""
        limited = [above for above in node.line() if above.all_limits().uses < NEVER]
        left = all(self.spent(above) < above.all_limits().uses for above in limited)
        left = node.uses <= node.all_limits().uses if is_again else left
        return left and node.all_limits().permit(audience, self.now)

    def issue(self, node, scope, audience, lifetime=ACCESS, until=NEVER, *, is_counted=True):
        for above in node.line() if is_counted and lifetime == ACCESS else ():
            above.uses += above.all_limits().uses < NEVER
        self.tokens += 1
        ends = min(node.last(), until, self.now + lifetime)
        return Token(node, scope, audience, ends, self.tokens)

    # What was taken, and what it leaves

    def binding(self, node, _power):
        """The blocks that bind a delegation whose client would have this power by it."""
        return [one for one in self.blocks if one.binds(node.pair(), node.root().allowed)]

    def cut(self, power, node):
        for block in self.binding(node, power):
            if power and block.touches(power):
                power = block.cut(power, self.now)
        return power

    def due(self, node):
        """What is left of a delegation when it is used: the answer on a page speaks for itself."""
        power = node.power()
        return power if node.is_on_a_page() else self.cut(power, node)

    @contextmanager
    def settled(self, node):
        """Cut it and all above it to what is due; whether anything of each is."""
        with ExitStack() as stack:
            is_left = True
            for above in reversed(node.line()):
                power = self.due(above)
                is_left = is_left and bool(power)
                stack.enter_context(above.within(power or above.power(), self.tokens))
            yield is_left

    def revoke(self, chosen, pair=None, power=None, *, is_taken=True):
        """End delegations: all of a pair, or each by itself; return how many ended."""
        standing = [node for node in self.nodes if not node.is_over()]
        tops = [n for n in standing if n in chosen and not set(n.line()[1:]) & set(chosen)]
        if pair:
            self.blocks.append(Block(pair, self.now, power))
        for top in tops if is_taken and not pair else ():
            is_own = top.parent is None and not top.whose[0]
            what = None if is_own else Power(top.all_scope(), top.all_audience())
            self.blocks.append(Block(top.pair(), self.now, what))
        for node in chosen:
            node.revoked = True
        return sum(node.is_over() for node in standing)

    def narrow(self, node, scope, audience, ends, limits):
        left = Node(**vars(node) | {"limits": node.limits & limits})
        Refused.if_any(
            invalid_request=left.is_over() or not self.is_live(node)
            or not self.now < ends <= node.last(),
            invalid_scope=not scope or not scope <= node.all_scope(),
            invalid_target=not audience or not audience <= node.all_audience(),
        )  # fmt: skip
        gone = [
            Power(node.all_scope() - scope, node.all_audience()),
            Power(scope, node.all_audience() - audience),
        ]
        if limits != Limits() or ends < node.last():
            bound = ends if ends < node.last() else NEVER
            gone.append(Power(scope, audience, limits, bound))
        found = [what for what in gone if what.scope and what.audience]
        self.blocks += [Block(node.pair(), self.now, what) for what in found]
        node.take(audience, self.tokens)
        node.scope, node.audience, node.ends, node.limits = scope, audience, ends, left.limits
        node.changed = self.tokens

    def lift(self, block):
        was_lifted, block.lifted = block.lifted, True
        for node in self.nodes if not was_lifted else ():
            is_found = node.parent is not None or not node.whose[0]
            if is_found and not node.is_over() and block.names(node.pair()):
                node.terms = None
        return not was_lifted

    # The ways to authority

    def open(self, client, whose, power, allowed=-NEVER, *, is_asked=False):
        """A root; with `is_asked`, on the answer that was given just now."""
        node = Node(client=client, parent=None, whose=whose, allowed=allowed, **vars(power))
        left = power if is_asked else self.cut(power, node)
        Refused.if_any(access_denied=not left)
        vars(node).update(vars(left))
        return node

    def found(self, terms, new):
        """The delegation on these terms with what is left of it, or what a new one would hold."""
        same = [node for node in self.nodes if node.terms == terms and self.is_live(node)]
        left = self.cut(same[0].power(), same[0]) if same else None
        return (same[0], left) if left else (None, self.cut(new.power(), new))

    def exchange(self, client, token, targets, scope, wanted):
        with self.settled(token.node) as is_left:
            return self.exchanged(client, token, targets, scope, wanted, is_left=is_left)

    def exchanged(self, client, token, targets, scope, wanted, *, is_left):
        parent, can, named = token.node, client.targets - self.off, token.node.client.may_act
        (here, held), is_own = self.left(token), parent.client is client
        targets = targets or (can if len(can) == 1 else targets)
        asked = held & client.scope if scope is None else scope
        scope = asked.intersection(*(self.servers[name] for name in targets))
        actor = () if is_own or client.may_impersonate else (client.name,)
        actors = parent.actors if parent.actors[:1] == actor else actor + parent.actors
        limits = parent.for_child() & client.limits & wanted
        terms = {"client": client, "parent": parent, "scope": scope, "audience": targets}
        terms |= {"limits": limits, "actors": actors, "whose": parent.whose}
        born = {"terms": terms, "born": self.tokens}
        new = Node(**terms, **born, ends=min(self.now + client.lifetime, parent.last()))
        same, power = self.found(terms, new)
        child = same or new
        with child.within(power, self.tokens):
            scope, audience = scope & child.all_scope(), targets & child.all_audience()
            Refused.if_any(
                invalid_client=client.name in self.off,
                invalid_request=not is_left or not self.is_active(token) or not held
                or not (is_own or (client.speaks_for in here and not named) or named == client.name)
                or len(parent.line()) > MAX_DEPTH or not parent.all_limits().depth
                or not self.may_issue(parent, set()) or not self.may_issue(child, audience),
                invalid_target=not audience or not targets <= can & limits.servers
                or (is_own and not targets <= parent.all_audience()),
                invalid_scope=not scope or not asked <= held & client.scope,
            )  # fmt: skip
        self.nodes += [] if same else [child]
        return child, self.issue(child, scope, audience, until=token.ends)

    def refresh(self, token):
        node, is_used = token.node, bool(token.successor)
        is_live = self.is_live(node) and (is_used or self.now < token.ends)
        window = PUBLIC_RETRY if node.client.public else RETRY
        is_retry = is_used and self.now < token.rotated + window and not token.successor.successor
        if is_used and not is_retry and is_live:
            self.revoke({node}, is_taken=node.parent is None)
        with self.settled(node) as is_left:
            is_live = is_live and is_left and self.is_live(node)
            where, scope = self.left(token)
            # A retry takes the place of what was issued before, where that is counted
            back = is_retry and node.all_limits().uses < NEVER
            good = self.may_issue(node, where, is_again=back)
            Refused.if_any(
                invalid_client=node.client.name in self.off, invalid_scope=not scope,
                invalid_grant=not is_live or not good or (is_used and not is_retry),
                invalid_target=not where,
            )  # fmt: skip
        for replaced in token.got if back else ():
            replaced.revoked = True
        if not is_retry:
            token.rotated = self.now
            token.successor = self.issue(node, token.scope, token.audience, IDLE)
        token.got.append(self.issue(node, scope, where, is_counted=not back))
        return token.successor, token.got[-1]
