"""Attack F5: a policy that holds in one grant and is forgotten in another.

One table: each policy, and what each way to a token answers once it holds, in the words of
OUTCOMES. The columns are those of tests.support.every_grant.WAYS. In `exchanged` the policy is that
of the client whose token is exchanged, in `exchange` that of the client which exchanges it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.db.models import F

from delegation_app.grants import REGISTRY
from delegation_app.models import ClientPolicy, Delegation
from delegation_app.protocol import names
from delegation_app.protocol.constraints import BUILT_IN, Constraints
from delegation_app.services import audit
from delegation_app.services.delegations import blocks, revocation
from tests.support.every_grant import BOTH, WAYS, Case
from tests.support.world import SERVICE_C

pytestmark = pytest.mark.any_database

OPERATOR = audit.RequestContext("user:99")
ELSEWHERE = "10.1.2.3"

# An error, or what a token has; "token" has what it had before the policy changed
OUTCOMES = {
    **{word: f"invalid_{word}" for word in ("client", "grant", "request", "scope", "target")},
    "denied": "unauthorized_client",
    "page": "error page",
    "sign-in": "sign-in",
    "waits": "waiting page",
    "pending": "authorization_pending",
    "token": {"scope": BOTH, "expires_in": 600},
    "less": {"scope": "read:metrics", "expires_in": 600},
    "minute": {"scope": BOTH, "expires_in": 60},
    "asked": {"scope": BOTH, "asked": True},
    "silent": {"scope": BOTH, "asked": False},
    "renews": {"scope": BOTH, "refresh_token_timeout": 300},
    "lapses": {"scope": BOTH, "refresh_token_timeout": None},
    "named": {"scope": BOTH, "may_act": {"sub": "client:other", "client_id": "other"}},
    "hidden": {"scope": BOTH, "act": None},
}


def nothing(_case):
    """Leave all as it is."""


@dataclass(frozen=True)
class Policy:
    """A row.

    Attributes:
        about: the fields of ClientPolicy and the types of constraints that it is about.
        change: what makes it hold, once the way holds what it needs.
        before: what was so from the start.
    """

    about: str
    change: Callable[[Case], object]
    before: Callable[[Case], object] = nothing


def changed(**values):
    return lambda case: case.app.change(**values)


def limited(*constraints):
    return lambda case: case.limit(Constraints.parse(list(constraints)))


def asking(**parameters):
    return lambda case: case.parameters.update(parameters)


def both(*changes):
    return lambda case: [change(case) for change in changes]


def scope_gone_from_site(case):
    known = dict(case.settings.OAUTH2_PROVIDER["SCOPES"])
    del known["write:alerts"]
    case.settings.OAUTH2_PROVIDER = {**case.settings.OAUTH2_PROVIDER, "SCOPES": known}


def several_audiences(case):
    world = case.story.world
    case.app.policy.audiences.set([world.service_a, world.service_b])
    case.app.change(default_audience=None)
    case.parameters["audience"] = None


def person_inactive(case):
    case.story.world.alice.is_active = False
    case.story.world.alice.save()


def risky(case):
    own = case.settings.DELEGATION
    case.settings.DELEGATION = {**own, "SCOPE_RISKS": {"write:alerts": "high"}}


def trusted(case):
    case.app.row.skip_authorization = True
    case.app.row.save()


def consented(case):
    if case.way.name == "authorize":
        case.story.tokens()


def open_for_half_a_minute(case):
    ends = case.clock() + timedelta(seconds=30)
    limited({"type": "time_window", "not_after": ends.isoformat().replace("+00:00", "Z")})(case)


def used_up(_case):
    Delegation.objects.filter(max_uses__isnull=False).update(uses=F("max_uses"))


def called_from_elsewhere(case):
    case.story.wire.defaults["REMOTE_ADDR"] = ELSEWHERE


def unreadable(case):
    case.limit(Constraints.stored([{"type": "of_another_package"}]))


def own_refresh_token(case):
    if case.way.name == "exchange":
        case.parameters["subject_token"] = case.first["refresh_token"]
        case.parameters["subject_token_type"] = names.REFRESH_TOKEN_TYPE


def stopped(case):
    revocation.of_client(case.app.row, OPERATOR, reason="stopped")


def unblocked(case):
    stopped(case)
    blocks.lift_all("", case.app.client_id, OPERATOR, reason="mended")


PATHS = {"type": "resource_path", "rules": [{"methods": ["GET"], "prefixes": ["/a"]}]}
LIMIT = '[{"type": "max_uses", "uses": 3}]'
NO_REFRESH = [grant for grant in REGISTRY if grant != names.REFRESH_TOKEN]
renewing = changed(may_refresh_exchanged_tokens=True, grants=list(REGISTRY))

TABLE = """
                            authorize  redeem  refresh  itself  exchange  exchanged  start    poll
nothing changes             token      token   token    token   token     token      token    token
client disabled             page       client  client   client  client    request    client   client
no grant                    denied     denied  denied   denied  denied    token      denied   denied
no audience                 target     target  target   target  target    request    target   target
server inactive             target     target  target   target  target    request    target   target
no scope                    scope      scope   scope    scope   scope     request    scope    scope
one scope less              scope      less    less     scope   scope     scope      scope    less
no scope at server          scope      scope   scope    scope   scope     request    scope    scope
one scope less at server    less       less    less     less    less      scope      less     less
one scope less on site      scope      less    less     scope   scope     scope      scope    less
no default audience         target     token   token    target  target    token      target   token
another authentication      client     client  client   client  client    token      token    token
access token lifetime       minute     minute  minute   minute  minute    token      minute   minute
refresh token lifetime      renews     renews  renews   token   token     token      renews   renews
refresh retry window        token      token   token    token   token     token      token    token
delegation lifetime         minute     token   token    token   token     token      minute   token
opened with a lifetime      minute     minute  minute   token   minute    minute     minute   minute
person inactive             sign-in    grant   grant    token   request   request    sign-in  grant
always ask                  asked      token   token    token   token     token      token    token
drops what is unavailable   less       less    less     less    less      scope      less     less
needs a scope               token      token   token    token   token     token      token    token
confirms what is risky      waits      token   token    token   token     token      pending  token
consented before            silent     token   token    token   token     token      token    token
trusted                     silent     token   token    token   token     token      token    token
asks for constraints        request    request request  request request   request    request request
may ask for constraints     token      request request  request token     request    token request
may act                     named      named   named    named   named     request    named    named
may impersonate             token      token   token    token   hidden    token      token    token
exchanges refresh token     token      token   token    token   request   token      token    token
may exchange refresh token  token      token   token    token   token     token      token    token
refreshes exchanged         renews     renews  renews   token   renews    token      renews   renews
no refresh grant            lapses     lapses  denied   lapses  lapses    token      lapses   lapses
another server only         target     grant   grant    denied  target    target     target   grant
time over                   grant      grant   grant    denied  request   request    grant    grant
another network             grant      grant   grant    denied  request   request    grant    grant
used up                     token      grant   grant    denied  request   request    token    grant
not to be handed on         token      token   token    token   token     request    token    token
another path only           token      token   token    token   token     token      token    token
unknown constraint          request    grant   grant    denied  request   request    request  grant
stopped                     token      grant   grant    denied  target    request    token    grant
unblocked                   token      grant   grant    token   token     request    token    grant
"""

POLICIES = {
    "nothing changes": Policy("may_introspect_all", nothing),
    "client disabled": Policy("enabled", changed(enabled=False)),
    "no grant": Policy("grants", changed(grants=[])),
    "no audience": Policy("audiences", lambda case: case.app.policy.audiences.clear()),
    "server inactive": Policy("", lambda case: case.server.update(active=False)),
    "no scope": Policy("scopes", changed(scopes="")),
    "one scope less": Policy("scopes", changed(scopes="read:metrics read:profile")),
    "no scope at server": Policy("", lambda case: case.server.update(scopes="")),
    "one scope less at server": Policy("", lambda case: case.server.update(scopes="read:metrics")),
    "one scope less on site": Policy("", scope_gone_from_site),
    "no default audience": Policy("default_audience", several_audiences),
    "another authentication": Policy(
        "token_endpoint_auth_method", changed(token_endpoint_auth_method="client_secret_post")
    ),
    "access token lifetime": Policy("access_token_lifetime", changed(access_token_lifetime=60)),
    "refresh token lifetime": Policy("refresh_token_lifetime", changed(refresh_token_lifetime=300)),
    "refresh retry window": Policy("refresh_retry_window", changed(refresh_retry_window=0)),
    "delegation lifetime": Policy("delegation_lifetime", changed(delegation_lifetime=60)),
    "opened with a lifetime": Policy(
        "delegation_lifetime", nothing, changed(delegation_lifetime=60)
    ),
    "person inactive": Policy("", person_inactive),
    "always ask": Policy("always_prompt", changed(always_prompt=True), consented),
    "drops what is unavailable": Policy(
        "drops_unavailable_scopes",
        changed(drops_unavailable_scopes=True, scopes="read:metrics read:profile"),
    ),
    "needs a scope": Policy("required_scopes", changed(required_scopes="read:metrics")),
    "confirms what is risky": Policy("confirm_risky", both(changed(confirm_risky=True), risky)),
    "consented before": Policy("always_prompt", nothing, consented),
    "trusted": Policy("", trusted),
    "asks for constraints": Policy("may_request_constraints", asking(constraints=LIMIT)),
    "may ask for constraints": Policy(
        "may_request_constraints",
        both(changed(may_request_constraints=True), asking(constraints=LIMIT)),
    ),
    "may act": Policy("may_act", changed(may_act="other")),
    "may impersonate": Policy("may_impersonate", changed(may_impersonate=True)),
    "exchanges refresh token": Policy("may_exchange_refresh_tokens", own_refresh_token, renewing),
    "may exchange refresh token": Policy(
        "may_exchange_refresh_tokens",
        both(changed(may_exchange_refresh_tokens=True), own_refresh_token),
        renewing,
    ),
    "refreshes exchanged": Policy(
        "may_refresh_exchanged_tokens", both(renewing, changed(refresh_token_lifetime=300))
    ),
    "no refresh grant": Policy("grants", changed(grants=NO_REFRESH), renewing),
    "another server only": Policy(
        "constraints resource_servers",
        limited({"type": "resource_servers", "identifiers": [SERVICE_C]}),
    ),
    "time over": Policy(
        "constraints time_window",
        lambda case: case.clock.forward(seconds=31),
        open_for_half_a_minute,
    ),
    "another network": Policy(
        "constraints ip_range",
        called_from_elsewhere,
        limited({"type": "ip_range", "networks": ["127.0.0.0/8"]}),
    ),
    "used up": Policy("constraints max_uses", used_up, limited({"type": "max_uses", "uses": 5})),
    "not to be handed on": Policy(
        "constraints max_depth", limited({"type": "max_depth", "depth": 0})
    ),
    "another path only": Policy("constraints resource_path", limited(PATHS)),
    "unknown constraint": Policy("constraints", unreadable),
    "stopped": Policy("", stopped),
    "unblocked": Policy("", unblocked),
}


@pytest.fixture
def case(story, clock, settings):
    return Case(story, clock, settings)


def answered(case, policy):
    policy.before(case)
    held = case.way.hold(case)
    policy.change(case)
    return case.way.ask(case, held)


def cells():
    head, *rows = TABLE.strip().splitlines()
    assert tuple(head.split()) == tuple(way.name for way in WAYS)
    for row in rows:
        name, *words = row.rsplit(maxsplit=len(WAYS))
        for way, word in zip(WAYS, words, strict=True):
            yield pytest.param(name, way, word, id=f"{name}-{way.name}".replace(" ", "-"))


@pytest.mark.parametrize(("name", "way", "word"), tuple(cells()))
def test_policy_when_a_token_is_asked_for(case, name, way, word):
    case.way = way
    outcome = answered(case, POLICIES[name])
    expected = OUTCOMES[word]
    if isinstance(expected, dict) and isinstance(outcome, dict):
        outcome = {name: outcome[name] for name in expected}
    assert outcome == expected


def test_table_when_a_policy_is_added():
    rows = {param.values[0] for param in cells()}
    assert rows == POLICIES.keys()


def test_table_when_a_field_of_the_policy_is_added():
    # The two times say which tokens a status list looks at, and no grant asks for them; the rest
    # says to people who an app is
    apart = {"application", "disabled_at", "restricted_at", "home_page", "privacy_page", "logo"}
    fields = {field.name for field in ClientPolicy._meta.get_fields()} - apart
    assert fields <= spoken_of(), fields - spoken_of()


def test_table_when_a_type_of_constraint_is_added():
    assert {kind.TYPE for kind in BUILT_IN} <= spoken_of()


def test_table_when_a_grant_is_added():
    assert {way.grant for way in WAYS} == REGISTRY.keys()


def spoken_of():
    return {word for policy in POLICIES.values() for word in policy.about.split()}
