"""Which changes grant a client or a resource server more access.

One line per field. A field without a line, such as a column of a site's own application model,
grants more with every change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from delegation_app import toolkit
from delegation_app.conf import conf
from delegation_app.protocol import names
from delegation_app.protocol.constraints import Constraints
from delegation_app.services.clients.registered_client import default_retry_window
from delegation_app.services.clients.snapshots import INTROSPECTS, LOGO, POLICY, Diff

Wider = Callable[[Any, Any], bool]


def _never(_before: Any, _after: Any) -> bool:
    return False


def _changed(before: Any, after: Any) -> bool:
    return bool(before != after)


def _added(before: Any, after: Any) -> bool:
    return not _members(after) <= _members(before)


def _ticked(before: Any, after: Any) -> bool:
    return bool(after) and not before


def _unticked(before: Any, after: Any) -> bool:
    return bool(before) and not after


def _longer(default: Callable[[], timedelta | None]) -> Wider:
    """Compare lifetimes; `default` returns the value without a policy."""

    def is_longer(before: int | None, after: int | None) -> bool:
        if after is None:
            # The site's value may increase later without approval for this client
            return before is not None
        if before is not None:
            return after > before
        found = default()
        return found is not None and after > found.total_seconds()

    return is_longer


def _looser_method(before: str | None, after: str | None) -> bool:
    return not _methods(after) <= _methods(before)


def _looser_limits(before: Any, after: Any) -> bool:
    return not Constraints.stored(after or []).is_within(Constraints.stored(before or []))


def _methods(chosen: str | None) -> frozenset[str]:
    # RFC 7591 section 2: without a choice, both ways to send a secret are accepted
    return frozenset({chosen}) if chosen else frozenset({names.BASIC, names.POST})


def _members(value: str | Iterable[str] | None) -> frozenset[str]:
    return frozenset(value.split() if isinstance(value, str) else value or ())


APPLICATION: Final[Mapping[str, Wider]] = {
    "client_id": _changed,
    # The toolkit's own pages let the owner edit the application
    "user": lambda before, after: after is not None and before != after,
    "redirect_uris": _added,
    "post_logout_redirect_uris": _added,
    "allowed_origins": _added,
    # Each type has capabilities that the other lacks
    "client_type": _changed,
    "authorization_grant_type": _changed,
    "client_secret": _never,
    "hash_client_secret": _unticked,
    "name": _never,
    "skip_authorization": _ticked,
    "algorithm": _changed,
    "registration_source": _changed,
    "cimd_expires_at": _changed,
    INTROSPECTS: _added,
    # Written by the model itself
    "id": _never,
    "created": _never,
    "updated": _never,
}

CLIENT_POLICY: Final[Mapping[str, Wider]] = {
    "enabled": _ticked,
    "grants": _added,
    "scopes": _added,
    "audiences": _added,
    # One of the audiences, so no further server is reached
    "default_audience": _never,
    "token_endpoint_auth_method": _looser_method,
    # Only reduces requests
    "drops_unavailable_scopes": _never,
    "always_prompt": _unticked,
    "required_scopes": _changed,
    "confirm_risky": _unticked,
    "home_page": _never,
    "privacy_page": _never,
    "logo": _never,
    "may_introspect_all": _ticked,
    "access_token_lifetime": _longer(lambda: conf.access_token_lifetime),
    "refresh_token_lifetime": _longer(lambda: conf.refresh_token_lifetime),
    "refresh_retry_window": _longer(lambda: default_retry_window(is_confidential=True)),
    "delegation_lifetime": _longer(lambda: conf.delegation_lifetime),
    "constraints": _looser_limits,
    "may_request_constraints": _ticked,
    "may_act": _changed,
    "may_impersonate": _ticked,
    "may_exchange_refresh_tokens": _ticked,
    "may_refresh_exchanged_tokens": _ticked,
    # Written by the model and by services
    "application": _never,
    "restricted_at": _never,
    "disabled_at": _never,
}

RESOURCE_SERVER: Final[Mapping[str, Wider]] = {
    "identifier": _changed,
    # RFC 8693 section 2.1: `audience` takes the name, so another name is another identifier
    "name": _changed,
    "scopes": _added,
    "introspectors": _added,
    "token_format": _changed,
    "active": _ticked,
    # Written by the model itself
    "id": _never,
    "restricted_at": _never,
}

CLIENT: Final[Mapping[str, Wider]] = {
    **APPLICATION,
    **{f"{POLICY}{name}": wider for name, wider in CLIENT_POLICY.items()},
}

# The only field whose empty value grants less to a public client
PUBLIC_CLIENT: Final[Mapping[str, Wider]] = {
    **CLIENT,
    f"{POLICY}refresh_retry_window": _longer(lambda: default_retry_window(is_confidential=False)),
}

# An image alone needs no approval, and is not stored with a pending change
UNKEPT: Final = frozenset({LOGO})


def of_client(client_type: str | None) -> Mapping[str, Wider]:
    """Return the table for clients of a type; for an unknown type, the stricter one."""
    confidential = toolkit.application_model().CLIENT_CONFIDENTIAL
    return CLIENT if client_type == confidential else PUBLIC_CLIENT


def widened(table: Mapping[str, Wider], change: Diff) -> list[str]:
    """Return the sorted names of the fields that grant more access.

    Args:
        table: `of_client` or `RESOURCE_SERVER`.
        change: the differences. For a new row, `before` is empty.
    """
    return [
        name
        for name in sorted({*change.before, *change.after})
        if table.get(name, _changed)(change.before.get(name), change.after.get(name))
    ]
