"""The pages that `benchmarks.console` asks for: a name and an address for each."""

from typing import Any
from urllib.parse import urlencode

_LIST = "/admin/delegation_app/delegation/"
_TRAIL = "/admin/delegation_app/auditevent/"
_API = "/delegations/api/"

# Pages of one record: they may take more statements, and longer
OBJECTS = frozenset(
    {
        "delegation: one of many",
        "delegation: with 1,000 children",
        "delegation: one of 1,000 children",
        "revoke: with 1,000 children",
    }
)

# Filters of the list of delegations, as they stand in its address
FILTERS: dict[str, dict[str, str]] = {
    "default": {},
    "state live": {"state": "live"},
    "state suspended": {"state": "suspended"},
    "state expired": {"state": "expired"},
    "state revoked": {"state": "revoked"},
    "grant type, common": {"grant": "authorization_code"},
    "grant type, rare": {"grant": "urn:ietf:params:oauth:grant-type:device_code"},
    "grant type, none of it": {"grant": "nothing"},
    "client, a fifth of all": {"client": "web"},
    "client, a few": {"client": "client-900"},
    "client, none of it": {"client": "nobody"},
    "client, a fifth, suspended": {"client": "web", "state": "suspended"},
    "client, a few, revoked": {"client": "client-900", "state": "revoked"},
    "age less than a day": {"age": "day"},
    "age more than a year": {"age": "over-year"},
    "last use never": {"used": "never"},
    "last use in the last day": {"used": "day"},
    "last use not for 90 days": {"used": "not-quarter"},
    "has children": {"children": "yes"},
    "has no children": {"children": "no"},
    "made from nothing": {"from": "roots"},
    "made from another": {"from": "chained"},
    "search, a person": {"q": "person4711"},
    "search, many people": {"q": "person4"},
    "search, a client of a fifth": {"q": "web"},
    "search, nobody": {"q": "nobody at all"},
    "everything at once": {
        "state": "suspended", "grant": "authorization_code", "used": "never", "children": "yes",
        "age": "over-month",
    },
}  # fmt: skip

# Filters of the audit trail, and of the list that scripts read
TRAIL: dict[str, dict[str, str]] = {
    "default": {},
    "last hour": {"range": "hour"},
    "event, common": {"event": "token.issued"},
    "event, rare": {"event": "delegation.revoked"},
    "event, none of it": {"event": "key.rotated"},
    "refused": {"outcome": "refused"},
    "reason, none of it": {"reason": "nobody gave it"},
    "client, a fifth of all": {"client": "web"},
    "client, none of it": {"client": "nobody"},
    "actor, none of it": {"actor": "user:0"},
    "request id, none of it": {"request": "nothing"},
    "anything, a client": {"q": "client-900"},
    "anything, nobody": {"q": "nobody"},
}
SCRIPTS: dict[str, dict[str, str]] = {
    "default": {},
    "state revoked": {"state": "revoked"},
    "client, a few": {"client": "client-900"},
    "has children": {"has_children": "true"},
    "last use not for 90 days": {"last_used_before": "2026-01-01T00:00:00Z"},
    "audience, none of it": {"audience": "https://nowhere.example.com"},
}


def addresses(site: Any) -> dict[str, str]:
    """Return the pages by name. A page more is a line more."""
    pages = {f"list: {name}": _list(**query) for name, query in FILTERS.items()}
    pages |= {
        "list: page 200": _list(at=site.cursor(200 * 50)),
        "list: page 200 of revoked": _list(
            state="revoked", at=site.cursor(200 * 50 * 20, state="revoked")
        ),
        "list: newer than the middle": _list(
            at=site.cursor(site.sizes.delegations // 2, newer=True)
        ),
        "list: children of one": _list(parent=site.wide.public_id),
        "list: tree of one": _list(root=site.wide.root_id),
        "delegation: one of many": f"{_LIST}{site.one.pk}/change/",
        "delegation: with 1,000 children": f"{_LIST}{site.wide.pk}/change/",
        "delegation: one of 1,000 children": f"{_LIST}{site.child.pk}/change/",
        "revoke: with 1,000 children": f"{_LIST}{site.wide.pk}/revoke/",
        "bulk: preview of a client": f"{_LIST}bulk/?{urlencode({'client': 'web'})}",
        "bulk: preview of the unused": f"{_LIST}bulk/?{urlencode({'used': 'not-quarter'})}",
        **{f"audit: {name}": _audit(**query) for name, query in TRAIL.items()},
        "audit: one delegation": _audit(delegation=site.wide.public_id),
        **{f"API: {name}": f"{_API}?{urlencode(query)}" for name, query in SCRIPTS.items()},
        "API: one of many": f"{_API}{site.one.public_id}",
        "consents": "/admin/delegation_app/consentrecord/",
        "consents: waiting": "/admin/delegation_app/consentrecord/?confirmation=pending",
        "clients": "/admin/oauth2_provider/application/",
        "clients: search": "/admin/oauth2_provider/application/?q=client-900",
        "resource servers": "/admin/delegation_app/resourceserver/",
        "keys": "/admin/delegation_app/signingkey/",
        "start page": "/admin/",
        "start page of the app": "/admin/delegation_app/",
    }
    return pages


def _list(**query: object) -> str:
    return f"{_LIST}?{urlencode(query)}"


def _audit(**query: object) -> str:
    return f"{_TRAIL}?{urlencode(query)}"
