"""What must be true of trees of delegations, told in sets and without a database.

Nothing is copied down a tree. A refusal names every fault: which is found first is left open.
"""

from dataclasses import dataclass, replace

MAX_DEPTH, ACCESS, IDLE, RETRY, NEVER = 2, 600, 2_592_000, 60, float("inf")
EVERYWHERE = frozenset("ABC")


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


class Node:
    whose, actors, terms, revoked, barred, uses = (), (), None, False, False, 0

    def __init__(self, **values):
        vars(self).update(values)

    def line(self):
        return [self, *(self.parent.line() if self.parent else [])]

    def all_limits(self):
        return self.limits & self.parent.handed_on() if self.parent else self.limits

    def handed_on(self):
        return replace(self.all_limits(), depth=max(self.all_limits().depth - 1, 0))

    def all_scope(self):
        return frozenset.intersection(*(node.scope for node in self.line()))

    def last(self):
        return min(node.ends for node in self.line())

    def is_over(self):
        limits = self.all_limits()
        is_empty = not self.all_scope() or not limits.servers or limits.opens >= limits.closes
        return is_empty or any(node.revoked for node in self.line())

    def may_issue(self, audience, now):
        left = all(node.uses < node.all_limits().uses for node in self.line())
        return left and self.all_limits().permit(audience, now)


class Token:
    revoked, successor, rotated = False, None, NEVER

    def __init__(self, node, scope, audience, ends):
        self.node, self.scope, self.audience, self.ends = node, scope, audience, ends


class Model:
    def __init__(self, servers):
        self.servers, self.now, self.nodes, self.off = servers, 0, [], set()

    def is_live(self, node):
        names = {*node.whose, *(above.client.name for above in node.line())}
        return not node.is_over() and self.now < node.last() and not names & self.off

    def left(self, token, where=EVERYWHERE):
        where &= token.audience & token.node.audience & token.node.client.targets - self.off
        known = frozenset().union(*(self.servers[name] for name in where))
        return where, token.scope & token.node.all_scope() & token.node.client.scope & known

    def is_active(self, token):
        return not token.revoked and self.now < token.ends and self.is_live(token.node)

    def seen(self, token, where=EVERYWHERE):
        limits = token.node.all_limits()
        usable = frozenset(name for name in where if limits.permit({name}, self.now))
        return self.left(token, usable)[1] if self.is_active(token) else frozenset()

    def issue(self, node, scope, audience, lifetime=ACCESS, until=NEVER):
        for above in node.line():
            above.uses += lifetime == ACCESS and above.all_limits().uses < NEVER
        return Token(node, scope, audience, min(node.last(), until, self.now + lifetime))

    def exchange(self, client, token, targets, scope, wanted):
        parent, can, named = token.node, client.targets - self.off, token.node.client.may_act
        (here, held), is_own = self.left(token), parent.client is client
        targets = targets or (can if len(can) == 1 else targets)
        asked = held & client.scope if scope is None else scope
        scope = asked.intersection(*(self.servers[name] for name in targets))
        actor = () if is_own or client.impersonates else (client.name,)
        actors = parent.actors if parent.actors[:1] == actor else actor + parent.actors
        limits = parent.handed_on() & client.limits & wanted
        terms = {"client": client, "parent": parent, "scope": scope, "audience": targets}
        terms |= {"limits": limits, "actors": actors, "whose": parent.whose}
        same = [node for node in self.nodes if node.terms == terms and self.is_live(node)]
        child = (same or [Node(**terms, terms=terms, ends=self.now + client.lifetime)])[0]
        scope, audience = scope & child.all_scope(), targets & child.audience
        is_barred = any(n.barred for n in self.nodes if n.parent is parent and n.client is client)
        Refused.if_any(
            invalid_client=client.name in self.off,
            invalid_request=not self.is_active(token) or not held
            or not (is_own or (client.speaks_for in here and not named) or named == client.name)
            or len(parent.line()) > MAX_DEPTH or not parent.all_limits().depth
            or not parent.may_issue(set(), self.now) or not child.may_issue(audience, self.now),
            invalid_target=not audience or not targets <= can & limits.servers
            or is_barred or (is_own and not targets <= parent.audience),
            invalid_scope=not scope or not asked <= held & client.scope,
        )  # fmt: skip
        self.nodes += [] if same else [child]
        return child, self.issue(child, scope, audience, until=token.ends)

    def refresh(self, token):
        (where, scope), is_used = self.left(token), bool(token.successor)
        is_live = self.is_live(token.node) and (is_used or self.now < token.ends)
        is_retry = is_used and self.now < token.rotated + RETRY and not token.successor.successor
        token.node.revoked |= is_used and not is_retry and is_live
        # A retry takes the place of what was issued before, where that is counted
        back = is_retry and token.node.all_limits().uses < NEVER
        self.count(token.node, -back)
        try:
            Refused.if_any(
                invalid_client=token.node.client.name in self.off, invalid_scope=not scope,
                invalid_grant=not is_live or (is_used and not is_retry)
                or not token.node.may_issue(where, self.now), invalid_target=not where,
            )  # fmt: skip
        except Refused:
            self.count(token.node, back)
            raise
        if back:
            token.access.revoked = True
        if not is_retry:
            token.rotated = self.now
            token.successor = self.issue(token.node, token.scope, token.audience, IDLE)
        token.access = self.issue(token.node, scope, where)
        return token.successor, token.access

    def count(self, node, number):
        for above in node.line():
            above.uses += number * (above.all_limits().uses < NEVER)

    def narrow(self, node, scope, audience, ends, limits):
        left = Node(**vars(node) | {"limits": node.limits & limits})
        Refused.if_any(
            invalid_request=left.is_over() or not self.is_live(node)
            or not self.now < ends <= node.last(),
            invalid_scope=not scope or not scope <= node.all_scope(),
            invalid_target=not audience or not audience <= node.audience,
        )  # fmt: skip
        node.scope, node.audience, node.ends, node.limits = scope, audience, ends, left.limits
