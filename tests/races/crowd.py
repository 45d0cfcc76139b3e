"""Many callers at the same moment, each with a database connection of its own."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection, connections, transaction
from django.utils import timezone

from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import RedirectTarget
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import new_secret
from delegation_app.services import audit, signing_keys
from delegation_app.services.clients import lookup
from delegation_app.services.consent import decision
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.delegations import creation
from delegation_app.services.delegations.terms import SignIn, Terms
from delegation_app.services.tokens import issuing
from tests.support.token_request import handle
from tests.support.world import CHALLENGE, REDIRECT_URI, SERVICE_A


class Crowd:
    """A pool of threads that start together.

    Attributes:
        size: how many there are.
        rounds: how often a race is run.
    """

    def __init__(self, size, rounds=25):
        self.size = size
        self.rounds = rounds
        # Some races have more parts than a small crowd has callers
        self._threads = max(size, 16)
        self._pool = ThreadPoolExecutor(self._threads)

    def rush(self, *calls):
        """Run the calls at once, and return what they returned, in order."""
        barrier = Barrier(len(calls))

        def run(call):
            barrier.wait(timeout=60)
            return call()

        futures = [self._pool.submit(run, call) for call in calls]
        return [future.result(timeout=120) for future in futures]

    def start(self, call):
        """Run one call beside the caller, and return its future."""
        return self._pool.submit(call)

    def go_home(self):
        """Close every thread's connections."""
        self.rush(*[connections.close_all] * self._threads)
        self._pool.shutdown()


def head_starts(rounds):
    """Milliseconds that the second of two callers waits, less than zero for the first: both win."""
    steps = (0, -5, 5, -10, 10, -20, 20, -40, 40, -80, 80, -160, 160)
    return [steps[number % len(steps)] / 1000 for number in range(rounds)]


def after(seconds, call):
    """Return `call`, made to wait first if `seconds` is more than zero."""

    def late():
        time.sleep(max(0, seconds))
        return call()

    return late


def until_somebody_waits():
    """Wait until a transaction waits for a lock (PostgreSQL)."""
    for _ in range(2000):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.005)
    raise AssertionError("no transaction waits")


def question(world, scope="read:metrics write:alerts"):
    """A question that stands in front of alice."""
    return ConsentRequest(
        client=lookup.find("web"),
        sign_in=SignIn(world.alice, timezone.now(), "1"),
        scope=Scope.parse(scope),
        audience=Audience([SERVICE_A]),
        constraints=Constraints(),
        grant_type=names.AUTHORIZATION_CODE,
        handle=new_secret(),
        target=RedirectTarget(REDIRECT_URI, "state", "https://as.example.com"),
        code_challenge=CHALLENGE,
    )


def new_code(world):
    """A code that alice has just allowed."""
    request = question(world)
    answer, context = decision.Answer(request.scope), audit.RequestContext(actor="user:1")
    return decision.decide(request, answer, context).code


def new_root(user, app="web", constraints=()):
    """A delegation at service A that a person has just opened, and the answer with its tokens.

    They have just allowed it, so what was taken in an earlier round does not bind it.
    """
    client = lookup.find(app)
    terms = Terms(
        client=client,
        scope=Scope.parse("read:metrics write:alerts"),
        audience=Audience([SERVICE_A]),
        grant_type=names.AUTHORIZATION_CODE,
        constraints=Constraints.parse(list(constraints)),
        sign_in=SignIn(user, timezone.now(), "1"),
        allowed_at=timezone.now(),
    )
    with transaction.atomic():
        row = creation.create(terms, audit.RequestContext(actor=terms.subject))
        token = issuing.TokenParameters(row, client, terms.scope, terms.audience)
        refresh_token = issuing.issue_refresh_token(token, new_secret())
        origin = audit.RequestContext(actor=client.subject)
        issued = issuing.issue(token, origin, refresh_token=refresh_token)
    return row, issued.answer(signing_keys.signer())


def new_child(token, app, audience):
    """The delegation that a client gets for a token, and the answer with its token."""
    client = lookup.find(app)
    issued = handle(
        names.TOKEN_EXCHANGE,
        client,
        audit.RequestContext(actor=client.subject),
        subject_token=token,
        subject_token_type=names.ACCESS_TOKEN,
        audience=audience,
    )
    return issued.access.delegation, issued.answer(signing_keys.signer())
