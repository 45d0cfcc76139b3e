"""What is taken from one delegation, and every way to have it back.

Asking for the same or differently, later, through another record or another client, on the page
where the user allows it again, or by a token that is out: as introspection, our verifier and the
status list have it.

One table in two parts: each field that can be tightened, and what each way answers then. `asks` is
a page, `gone` a refusal; `said_of` has the other words.
What each policy does in each grant is in test_policies_in_every_grant.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from delegation_app.grants import REGISTRY
from delegation_app.models import Delegation, DelegationBlock
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import BUILT_IN, Constraints
from delegation_app.protocol.errors import InvalidToken, OutsideLimits
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.verified_token import Call
from delegation_app.services import audit
from delegation_app.services.consent import approval
from delegation_app.services.delegations import blocks, creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.tokens import local_verifier
from tests.support.statuses import status
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of, redirected

OPERATOR = audit.RequestContext(actor="user:99")
READ, WRITE, BOTH = "read:metrics", "write:alerts", "read:metrics write:alerts"
HERE = [SERVICE_A, SERVICE_B]
PATHS = {"type": "resource_path", "rules": [{"methods": ["GET"], "prefixes": ["/a"]}]}


@dataclass
class Case:
    """One cell: a story, and what the way has got hold of.

    Attributes:
        row: the delegation that is tightened.
        kept: a token response, a code or a device code.
        scope, audience: what the way asks for.
    """

    story: Any
    clock: Any
    settings: Any
    row: Any = None
    kept: Any = None
    scope: str = BOTH
    audience: list[str] = field(default_factory=lambda: list(HERE))

    @property
    def asked(self):
        return {"scope": self.scope, "resource": self.audience}


def with_tokens(case):
    case.kept = case.story.tokens(**case.asked)
    case.row = delegation_of(case.kept)


def with_code(case):
    case.kept = case.story.code(**case.asked)
    case.row = Delegation.objects.latest("pk")


def with_device(case):
    case.kept = case.story.approved(**case.asked)
    case.row = Delegation.objects.latest("pk")


def with_own(case):
    case.kept = case.story.client_credentials(**case.asked).json()
    case.row = delegation_of(case.kept)


def with_child(case):
    with_tokens(case)
    case.first = case.kept
    case.kept = case.story.exchange(case.kept["access_token"], **onward(case)).json()
    case.row = delegation_of(case.kept)


def onward(case):
    return {"scope": case.scope, "resource": case.audience}


def silently(case):
    response = case.story.authorize(**case.asked)
    return "asks" if response.status_code == 200 else redeemed(case, response)


def with_another_scope(case):
    case.scope = WRITE
    return silently(case)


def elsewhere(case):
    case.audience = [SERVICE_B]
    return silently(case)


def on_a_page(case):
    page = case.story.authorize(**case.asked, prompt="consent")
    return redeemed(case, case.story.answer(page) if page.status_code == 200 else page)


def redeemed(case, response):
    query = {} if response.status_code == 400 else redirected(response)
    return answered(case, case.story.redeem(query["code"])) if "code" in query else "gone"


def by_code(case):
    return answered(case, case.story.redeem(case.kept))


def by_refresh(case):
    return answered(case, case.story.refresh(case.kept["refresh_token"]))


def by_itself(case):
    return answered(case, case.story.client_credentials(**case.asked))


def by_itself_differently(case):
    case.scope, case.audience = WRITE, [SERVICE_B]
    return by_itself(case)


def by_exchange(case):
    root = getattr(case, "first", case.kept)
    return answered(case, case.story.exchange(root["access_token"], **onward(case)))


def by_exchange_differently(case):
    case.scope, case.audience = WRITE, [SERVICE_B]
    return by_exchange(case)


def by_another_tree(case):
    # Asked for at one place, so that there is a root where the other place is gone
    case.first = case.story.tokens(scope=case.scope, resource=SERVICE_A)
    return by_exchange(case)


def by_poll(case):
    return answered(case, case.story.poll(case.kept))


def by_asking(case):
    told = case.story.introspect(case.kept["access_token"], case.story.world.operator_tool).json()
    if not told["active"]:
        return "gone"
    ends = told["exp"] - case.clock().timestamp()
    return said_of(case, told["scope"], told["aud"], told.get("constraints"), ends)


def by_the_list(case):
    return "gone" if status(case.story, case.kept["access_token"]) else "whole"


def beside_the_server(case):
    call = Call(method="DELETE", path="/b", ip="10.1.1.1")
    try:
        found = local_verifier.verify(case.kept["access_token"], SERVICE_A, call)
    except OutsideLimits:
        return "bound"
    except InvalidToken:
        return "gone"
    seconds = found.expires_at - case.clock().timestamp()
    return said_of(case, str(found.scope), list(found.audience), found.constraints, seconds)


WAYS = {
    "silent": (names.AUTHORIZATION_CODE, with_tokens, silently),
    "scope": (names.AUTHORIZATION_CODE, with_tokens, with_another_scope),
    "place": (names.AUTHORIZATION_CODE, with_tokens, elsewhere),
    "page": (names.AUTHORIZATION_CODE, with_tokens, on_a_page),
    "code": (names.AUTHORIZATION_CODE, with_code, by_code),
    "refresh": (names.REFRESH_TOKEN, with_tokens, by_refresh),
    "itself": (names.CLIENT_CREDENTIALS, with_own, by_itself),
    "other": (names.CLIENT_CREDENTIALS, with_own, by_itself_differently),
    "child": (names.TOKEN_EXCHANGE, with_tokens, by_exchange),
    "again": (names.TOKEN_EXCHANGE, with_child, by_exchange),
    "differently": (names.TOKEN_EXCHANGE, with_child, by_exchange_differently),
    "tree": (names.TOKEN_EXCHANGE, with_child, by_another_tree),
    "poll": (names.DEVICE_CODE, with_device, by_poll),
    "asked": ("", with_tokens, by_asking),
    "beside": ("", with_tokens, beside_the_server),
    "list": ("", with_tokens, by_the_list),
}


def answered(case, response):
    if response.status_code != 200:
        return "gone"
    answer = response.json()
    claims, row = claims_of(answer["access_token"]), delegation_of(answer)
    assert claims["scope"] == answer["scope"]
    # What a service can judge by itself stands in the token as well
    assert claims.get("constraints", []) == row.constraints.claim()
    return said_of(case, claims["scope"], claims["aud"], row.constraints, answer["expires_in"])


def said_of(case, scope, audience, constraints, seconds):
    """Name what is less than what was asked for, of what a token tells everybody who reads it."""
    parts = {
        "less": Scope.parse(scope) != Scope.parse(case.scope),
        "near": set([audience] if isinstance(audience, str) else audience) != set(case.audience),
        "bound": bool(constraints),
        "brief": seconds <= 60,
    }
    return "+".join(name for name, is_so in parts.items() if is_so) or "whole"


# What is taken


def narrowed(**to):
    return lambda case: creation.narrow(case.row, Narrowing(**to), OPERATOR, reason="enough")


def used_up(case):
    limited({"type": "max_uses", "uses": 1})(case)
    Delegation.objects.filter(max_uses__isnull=False).update(uses=F("max_uses"))


def limited(*constraints):
    return narrowed(constraints=Constraints.parse(list(constraints)))


def ends_in_a_minute(case):
    narrowed(expires_at=case.clock() + timedelta(seconds=60))(case)


def and_waited(deed):
    def done(case):
        deed(case)
        case.clock.forward(seconds=61)

    return done


def revoked(case):
    revocation.subtree(case.row, OPERATOR, reason="enough")


def revoked_and_lifted(case):
    revoked(case)
    blocks.lift(DelegationBlock.objects.get(), OPERATOR, reason="mended")


def revoked_and_allowed(case):
    revoked(case)
    case.clock.forward(seconds=1)
    case.story.tokens(**case.asked, prompt="consent")


def all_of_the_client(case):
    revocation.of_client(case.row.delegate, OPERATOR, reason="enough")


def all_of_the_person(case):
    if case.row.principal_user is not None:
        revocation.of_user(case.row.principal_user, OPERATOR, reason="enough")


def withdrawn(case):
    if case.row.consent is not None:
        approval.withdraw(case.row.consent, OPERATOR, reason="enough")


def given_back(case):
    revocation.subtree(
        case.row, audit.RequestContext(actor=f"client:{case.row.delegate_client_id}"), reason=""
    )


@dataclass(frozen=True)
class Taking:
    """A row.

    Attributes:
        about: the columns of Delegation and DelegationBlock, and the types of constraints.
        deed: what takes it.
    """

    about: str
    deed: Callable[[Case], object]


TAKINGS = {
    "nothing": Taking("", lambda _case: None),
    "scope": Taking("scopes", narrowed(scope=Scope([READ]))),
    "audience": Taking("audience", narrowed(audience=Audience([SERVICE_A]))),
    "end": Taking("expires_at ends_at", ends_in_a_minute),
    "end and waiting": Taking("expires_at ends_at", and_waited(ends_in_a_minute)),
    "network": Taking(
        "constraints ip_range", limited({"type": "ip_range", "networks": ["127.0.0.0/8"]})
    ),
    "one more": Taking("constraints max_uses", limited({"type": "max_uses", "uses": 1})),
    "used up": Taking("max_uses uses", used_up),
    "hours": Taking(
        "constraints time_window",
        limited({"type": "time_window", "not_after": "2100-01-01T00:00:00Z"}),
    ),
    "depth": Taking("constraints max_depth", limited({"type": "max_depth", "depth": 0})),
    "servers": Taking(
        "constraints resource_servers", limited({"type": "resource_servers", "identifiers": HERE})
    ),
    "paths": Taking("constraints resource_path", limited(PATHS)),
    "revoked": Taking("revoked_at revoked_by", revoked),
    "allowed again": Taking("allowed_at blocked_at", revoked_and_allowed),
    "lifted": Taking("lifted_at", revoked_and_lifted),
    "client": Taking("everything client_id_value", all_of_the_client),
    "person": Taking("everything subject", all_of_the_person),
    "withdrawn": Taking("consent", withdrawn),
    "given back": Taking("revoked_by", given_back),
}


BY_APPS = """
                   silent scope place page  code  refresh itself other
nothing            whole  whole whole whole whole whole   whole  whole
scope              asks   asks  asks  whole less  less    less   gone
audience           asks   asks  asks  whole near  near    near   gone
end                asks   asks  asks  whole brief brief   brief  brief
end and waiting    asks   asks  asks  whole gone  gone    gone   gone
network            asks   asks  asks  whole bound bound   bound  bound
one more           asks   asks  asks  whole bound bound   bound  bound
used up            asks   asks  asks  whole gone  gone    gone   gone
hours              asks   asks  asks  whole bound bound   bound  bound
depth              asks   asks  asks  whole bound bound   bound  bound
servers            asks   asks  asks  whole bound bound   bound  bound
paths              asks   asks  asks  whole bound bound   bound  bound
revoked            asks   asks  asks  whole gone  gone    gone   gone
allowed again      whole  whole whole whole gone  gone    gone   gone
lifted             whole  whole whole whole gone  gone    whole  whole
client             asks   asks  asks  whole gone  gone    gone   gone
person             asks   asks  asks  whole gone  gone    whole  whole
withdrawn          asks   asks  asks  whole gone  gone    whole  whole
given back         whole  whole whole whole gone  gone    whole  whole
"""

BY_OTHERS = """
                   child again differently tree  poll  asked beside list
nothing            whole whole whole       whole whole whole whole  whole
scope              gone  less  gone        less  less  less  less   gone
audience           whole near  gone        near  near  near  near   gone
end                brief brief brief       brief brief brief brief  gone
end and waiting    gone  gone  gone        gone  gone  gone  gone   gone
network            bound bound bound       bound bound bound bound  gone
one more           bound bound bound       bound bound whole bound  gone
used up            gone  gone  gone        gone  gone  whole bound  gone
hours              bound bound bound       bound bound bound bound  gone
depth              gone  bound bound       bound bound whole bound  gone
servers            bound bound bound       bound bound bound bound  gone
paths              bound bound bound       bound bound bound bound  gone
revoked            gone  gone  gone        gone  gone  gone  gone   gone
allowed again      gone  gone  gone        whole gone  gone  gone   gone
lifted             gone  whole whole       whole gone  gone  gone   gone
client             gone  gone  gone        gone  gone  gone  gone   gone
person             gone  gone  gone        whole gone  gone  gone   gone
withdrawn          gone  gone  gone        whole gone  gone  gone   gone
given back         gone  whole whole       whole gone  gone  gone   gone
"""


@pytest.fixture
def case(story, clock, settings):
    world = story.world
    servers = [world.service_a, world.service_b, world.service_c]
    for app in ("web", "tv", "cron", "service_a_client"):
        getattr(world, app).policy.audiences.set(servers)
    return Case(story, clock, settings)


def cells():
    for table in (BY_APPS, BY_OTHERS):
        head, *rows = table.strip().splitlines()
        ways = head.split()
        for row in rows:
            name, *words = row.rsplit(maxsplit=len(ways))
            for way, word in zip(ways, words, strict=True):
                yield pytest.param(name, way, word, id=f"{name}-{way}".replace(" ", "-"))


@pytest.mark.parametrize(("name", "way", "word"), tuple(cells()))
def test_what_was_taken_when_it_is_asked_for_in_every_way(case, name, way, word):
    _, hold, ask = WAYS[way]
    hold(case)
    TAKINGS[name].deed(case)
    case.clock.forward(seconds=1)

    assert ask(case) == word


def test_table_when_something_is_added_that_takes():
    expected = {(name, way) for name in TAKINGS for way in WAYS}
    assert {param.values[:2] for param in cells()} == expected


# What says who, when and where from, and takes nothing by itself
TELLS = {
    Delegation: {
        "id", "public_id", "principal_user", "principal_client", "subject", "delegate",
        "delegate_client_id", "parent", "root", "path", "depth", "ancestor_clients", "actors",
        "grant_type",
        "terms_digest", "auth_time", "acr", "issued_at", "revocation_reason", "last_used_at",
        # Which tokens a status list marks, in the column `list`
        "narrowed_after", "metadata",
    },
    DelegationBlock: {
        "id", "public_id", "cause", "delegation", "blocked_by", "reason", "lifted_by",
        "lift_reason",
    },
}  # fmt: skip


@pytest.mark.parametrize("model", TELLS)
def test_table_when_a_column_is_added(model):
    columns = {field.name for field in model._meta.concrete_fields} - TELLS[model]
    assert columns <= spoken_of(), columns - spoken_of()


def test_table_when_a_type_of_constraint_or_a_grant_is_added():
    assert {kind.TYPE for kind in BUILT_IN} <= spoken_of()
    assert {grant for grant, _, _ in WAYS.values() if grant} == REGISTRY.keys()


def spoken_of():
    return {word for taking in TAKINGS.values() for word in taking.about.split()}
