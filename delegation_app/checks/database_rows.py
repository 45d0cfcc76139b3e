"""Checks of stored rows. They run with `check --database …`, and before `migrate`.

All of them are warnings: an error would stop the command that repairs the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.core.checks import CheckMessage, Tags, register
from django.db.models import F

from delegation_app.checks import subjects
from delegation_app.checks.subjects import caution
from delegation_app.conf import conf, configured

# Enough to see the pattern; a site may have thousands of clients.
_MOST: Final = 20
_NEWEST: Final = 10_000


@register(Tags.database)
def check_keys(databases: Iterable[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """W003: a signing key was encrypted with a secret that is no longer configured."""
    return subjects.found(_keys, databases)


@register(Tags.database)
def check_audiences(databases: Iterable[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """W004: DEFAULT_AUDIENCE is unknown. W006: live delegations use an unknown audience."""
    return subjects.found(_audiences, databases)


@register(Tags.database)
def check_policies(databases: Iterable[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """W002: a policy without an active audience. W005: a default outside the audiences."""
    return subjects.found(_policies, databases)


@register(Tags.database)
def check_risks(databases: Iterable[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """W007: SCOPE_RISKS names a scope that the site's tables do not define."""
    return subjects.found(_risks, databases)


def _keys() -> Iterator[CheckMessage]:
    from delegation_app.services import signing_keys  # noqa: PLC0415 - apps not ready above

    hint = "Add the old secret to SECRET_KEY_FALLBACKS or KEY_ENCRYPTION_KEY, and rotate the keys."
    for kid in signing_keys.unreadable():
        yield caution(f"The signing key {kid} cannot be decrypted.", hint, "W003")


def _audiences() -> Iterator[CheckMessage]:
    from delegation_app.models import (  # noqa: PLC0415 - as above
        Delegation,
        ResourceServer,
    )

    known = set(ResourceServer.objects.values_list("identifier", flat=True))
    if conf.default_audience is not None and conf.default_audience not in known:
        yield caution(
            f"DEFAULT_AUDIENCE {conf.default_audience!r} is not a resource server.",
            "Add it in the admin, or change the setting.",
            "W004",
        )
    # The newest suffice: a check does not read a large table
    newest = Delegation.objects.live().order_by("-pk").values_list("audience", flat=True)[:_NEWEST]
    for audience in sorted({name for row in set(newest) for name in row} - known):
        hint = "Add a resource server with that identifier, or revoke the delegations."
        text = f"Delegations use the audience {audience!r}, but no resource server has it."
        yield caution(text, hint, "W006")


def _policies() -> Iterator[CheckMessage]:
    from delegation_app.models import ClientPolicy  # noqa: PLC0415 - as above

    policies = ClientPolicy.objects.filter(enabled=True).select_related("application")
    elsewhere = policies.exclude(default_audience=None).exclude(audiences=F("default_audience"))
    for policy in elsewhere[:_MOST]:
        hint = "Add it to the client's audiences, or select another default."
        message = f"The default audience of {policy.application} is not among its audiences."
        yield caution(message, hint, "W005")
    for policy in policies.exclude(grants=[]).exclude(audiences__active=True)[:_MOST]:
        message = f"{policy.application} has no active audience."
        hint = "Add an audience to its policy, or disable the client."
        yield caution(message, hint, "W002")


def _risks() -> Iterator[CheckMessage]:
    from delegation_app import toolkit  # noqa: PLC0415 - as above

    risks = configured().get("SCOPE_RISKS", {})
    if toolkit.scopes_are_settings() or not isinstance(risks, dict):
        # E004 reports it
        return
    for name in sorted(map(str, risks.keys() - toolkit.all_scopes().keys())):
        hint = "Correct the name, or add the scope."
        yield caution(f"SCOPE_RISKS names the unknown scope {name!r}.", hint, "W007")
