"""Checks of what is on file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.core.checks import CheckMessage, register
from django.db import DatabaseError, InterfaceError
from django.db.models import F

from delegation_app.checks.messages import caution, error
from delegation_app.conf import conf

# Enough to see the pattern; a site may have thousands of clients.
_MOST: Final = 20
_NEWEST: Final = 10_000


@register()
def check_keys(**_kwargs: Any) -> list[CheckMessage]:
    """E011: the secret that encrypts the signing keys was changed and the old one is gone."""
    from delegation_app.services import keys  # noqa: PLC0415 - apps not ready above

    try:
        kids = keys.unreadable()
    except (DatabaseError, InterfaceError):
        return []
    hint = "Put the old secret into SECRET_KEY_FALLBACKS or KEY_ENCRYPTION_KEY, and rotate."
    return [error(f"The signing key {kid} can't be decrypted.", hint, "E011") for kid in kids]


# Not under the tag `database`: plain `manage.py check` would leave those out.
@register()
def check_audiences(**_kwargs: Any) -> list[CheckMessage]:
    """E008 to E010: an audience that no resource server has. W002: a policy that reaches none."""
    try:
        return list(_audience_problems())
    except (DatabaseError, InterfaceError):
        # No database, or not migrated yet: nothing to compare with.
        return []


def _audience_problems() -> Iterator[CheckMessage]:
    from delegation_app.models import (  # noqa: PLC0415 - as above
        ClientPolicy,
        Delegation,
        ResourceServer,
    )

    known = set(ResourceServer.objects.values_list("identifier", flat=True))
    if conf.default_audience is not None and conf.default_audience not in known:
        yield error(
            f"DEFAULT_AUDIENCE {conf.default_audience!r} is no resource server.",
            "Add it in the admin, or change the setting.",
            "E008",
        )
    # The newest say enough, and a large table is not read for a check.
    newest = Delegation.objects.live().order_by("-pk").values_list("audience", flat=True)[:_NEWEST]
    for audience in sorted({name for row in set(newest) for name in row} - known):
        hint = "Add the resource server again, or revoke what is for it."
        yield error(f"Delegations are for {audience!r}, which nobody is.", hint, "E010")
    policies = ClientPolicy.objects.filter(enabled=True).select_related("application")
    elsewhere = policies.exclude(default_audience=None).exclude(audiences=F("default_audience"))
    for policy in elsewhere[:_MOST]:
        hint = "Add it to the client's audiences, or choose another default."
        yield error(f"The default audience of {policy.application} is not its own.", hint, "E009")
    for policy in policies.exclude(grants=[]).exclude(audiences__active=True)[:_MOST]:
        message = f"{policy.application} reaches no active resource server."
        hint = "Give its policy an audience, or disable it."
        yield caution(message, hint, "W002")
