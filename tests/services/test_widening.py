"""Which changes widen: each field of the registry is classified, and each function is tried."""

import pytest

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.services.clients import widening
from delegation_app.services.clients.lookup import find
from delegation_app.services.clients.snapshots import Diff
from tests.support.answers import each

LIMIT = [{"type": "max_uses", "uses": 5}]
LOOSER = [{"type": "max_uses", "uses": 6}]
TWO = [{"type": "max_depth", "depth": 1}, *LIMIT]
UNREADABLE = [{"type": "of_a_package_that_is_gone"}]
LIFETIMES = (
    "access_token_lifetime",
    "delegation_lifetime",
    "refresh_retry_window",
    "refresh_token_lifetime",
)
NETWORK = [{"type": "ip_range", "networks": ["192.0.2.0/24"]}]
HALF = [{"type": "ip_range", "networks": ["192.0.2.0/25"]}]


def fields_of(model):
    return {field.name for field in (*model._meta.concrete_fields, *model._meta.many_to_many)}


@pytest.mark.parametrize(
    ("model", "table", "beside"),
    [
        (toolkit.application_model, widening.APPLICATION, {"introspectable_resource_servers"}),
        (lambda: ClientPolicy, widening.CLIENT_POLICY, {"logo"}),
        (lambda: ResourceServer, widening.RESOURCE_SERVER, set()),
    ],
    ids=["application", "policy", "resource server"],
)
def test_table_when_compared_with_the_model_then_every_field_is_classified(model, table, beside):
    """A new field is classified in `widening.py`, or it would widen at each change."""
    assert fields_of(model()) | beside == table.keys()


def wider(name, before, after):
    table = widening.RESOURCE_SERVER if name.startswith("server.") else widening.CLIENT
    name = name.removeprefix("server.")
    return widening.widened(table, Diff({name: before}, {name: after})) == [name]


@pytest.mark.parametrize(
    ("name", "less", "more"),
    [
        ("redirect_uris", "https://a.example/cb", "https://a.example/cb https://b.example/cb"),
        ("redirect_uris", "https://a.example/cb https://b.example/cb", "https://c.example/cb"),
        ("redirect_uris", "", "https://a.example/cb"),
        ("post_logout_redirect_uris", "", "https://a.example/"),
        ("allowed_origins", "", "https://a.example"),
        ("skip_authorization", False, True),
        ("client_type", "confidential", "public"),
        ("hash_client_secret", True, False),
        ("user", None, "user:7"),
        ("user", "user:6", "user:7"),
        ("introspectable_resource_servers", [], ["https://a.example"]),
        ("clientpolicy.enabled", False, True),
        ("clientpolicy.grants", ["a"], ["a", "b"]),
        ("clientpolicy.grants", ["a"], ["b"]),
        ("clientpolicy.scopes", "read", "read write"),
        ("clientpolicy.scopes", "read", "write"),
        ("clientpolicy.audiences", ["https://a.example"], ["https://b.example"]),
        ("clientpolicy.token_endpoint_auth_method", "client_secret_basic", ""),
        ("clientpolicy.token_endpoint_auth_method", "client_secret_basic", "client_secret_post"),
        ("clientpolicy.token_endpoint_auth_method", "", "none"),
        ("clientpolicy.always_prompt", True, False),
        ("clientpolicy.confirm_risky", True, False),
        ("clientpolicy.may_introspect_all", False, True),
        ("clientpolicy.may_request_constraints", False, True),
        ("clientpolicy.may_impersonate", False, True),
        ("clientpolicy.may_exchange_refresh_tokens", False, True),
        ("clientpolicy.may_refresh_exchanged_tokens", False, True),
        ("clientpolicy.access_token_lifetime", 60, 61),
        ("clientpolicy.access_token_lifetime", 6000, None),
        ("clientpolicy.access_token_lifetime", None, 601),
        ("clientpolicy.refresh_token_lifetime", None, 2592001),
        ("clientpolicy.delegation_lifetime", None, 7776001),
        ("clientpolicy.constraints", LIMIT, []),
        ("clientpolicy.constraints", LIMIT, LOOSER),
        ("clientpolicy.constraints", TWO, LIMIT),
        ("clientpolicy.constraints", HALF, NETWORK),
        ("clientpolicy.constraints", UNREADABLE, []),
        ("clientpolicy.constraints", UNREADABLE, LIMIT),
        ("server.scopes", "read", "read write"),
        ("server.active", False, True),
        ("server.introspectors", [], ["web"]),
        ("server.introspectors", ["cron"], ["web"]),
    ],
)
def test_change_when_more_is_allowed_then_it_widens(name, less, more):
    assert wider(name, less, more)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("redirect_uris", "https://a.example/cb https://b.example/cb", "https://b.example/cb"),
        ("redirect_uris", "a b", "b\n a"),
        ("skip_authorization", True, False),
        ("hash_client_secret", False, True),
        ("user", "user:7", None),
        ("name", "Web", "Web 2"),
        ("clientpolicy.enabled", True, False),
        ("clientpolicy.grants", ["a", "b"], ["b"]),
        ("clientpolicy.scopes", "read write", "read"),
        ("clientpolicy.audiences", ["https://a.example"], []),
        ("clientpolicy.default_audience", None, "https://a.example"),
        ("clientpolicy.token_endpoint_auth_method", "", "client_secret_basic"),
        ("clientpolicy.always_prompt", False, True),
        ("clientpolicy.confirm_risky", False, True),
        ("clientpolicy.may_impersonate", True, False),
        ("clientpolicy.access_token_lifetime", 61, 60),
        ("clientpolicy.access_token_lifetime", None, 600),
        ("clientpolicy.delegation_lifetime", None, 60),
        ("clientpolicy.constraints", [], LIMIT),
        ("clientpolicy.constraints", LOOSER, LIMIT),
        ("clientpolicy.constraints", LIMIT, TWO),
        ("clientpolicy.constraints", NETWORK, HALF),
        ("server.scopes", "read write", "read"),
        ("server.active", True, False),
        ("server.introspectors", ["web"], []),
    ],
)
def test_change_when_it_only_takes_away_or_shows_then_it_does_not_widen(name, before, after):
    assert not wider(name, before, after)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("authorization_grant_type", "client-credentials", "authorization-code"),
        ("algorithm", "", "RS256"),
        ("client_type", "public", "confidential"),
        ("clientpolicy.required_scopes", "read", "write"),
        ("clientpolicy.may_act", "", "web"),
        ("server.identifier", "https://a.example", "https://b.example"),
        ("server.name", "A", "B"),
        ("server.token_format", "jwt", "opaque"),
        ("a_column_of_a_site", 1, 2),
    ],
)
def test_change_when_either_way_may_allow_more_then_both_widen(name, one, other):
    assert wider(name, one, other)
    assert wider(name, other, one)


RETRY = "clientpolicy.refresh_retry_window"


@pytest.mark.parametrize(
    ("client_type", "before", "after", "is_wider"),
    [
        ("public", None, 10, False),
        ("public", None, 11, True),
        ("public", None, 60, True),
        ("public", 60, 10, False),
        ("public", 10, None, True),
        ("confidential", None, 60, False),
        ("confidential", None, 61, True),
        ("a type of a site", None, 11, True),
    ],
)
def test_retry_window_when_it_was_empty_then_it_was_what_such_a_client_gets(
    client_type, before, after, is_wider
):
    change = Diff({RETRY: before}, {RETRY: after})
    assert bool(widening.widened(widening.of_client(client_type), change)) is is_wider


@pytest.mark.parametrize("name", ["web", "mobile"])
def test_empty_when_it_is_filled_with_what_it_stood_for_then_nothing_widens(world, name):
    """What an empty field means is the same where it is compared and where it is applied."""
    client = find(name)
    table = widening.of_client(client.application.client_type)
    for field in LIFETIMES:
        effective = int(getattr(client, field).total_seconds())
        with each(field):
            for seconds, wider in ((effective, []), (effective + 1, [f"clientpolicy.{field}"])):
                change = Diff({f"clientpolicy.{field}": None}, {f"clientpolicy.{field}": seconds})
                assert widening.widened(table, change) == wider


def test_lifetime_when_the_site_has_no_limit_then_any_limit_is_less(settings):
    settings.DELEGATION = {**settings.DELEGATION, "DELEGATION_LIFETIME": None}
    assert not wider("clientpolicy.delegation_lifetime", None, 10**9)
    assert wider("clientpolicy.delegation_lifetime", 10**9, None)
