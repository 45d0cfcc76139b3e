"""Checks of the second operator: enough operators, and no way around the approval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.apps import apps
from django.core.checks import CheckMessage, Tags, register
from django.urls import NoReverseMatch, reverse

from delegation_app.checks import subjects
from delegation_app.checks.subjects import caution, error
from delegation_app.conf import conf, configured

_NEEDED: Final = 2
_DECIDE: Final = "delegation_app.decide_proposedchange"
# Pages and endpoints of the toolkit on which clients are registered or changed
_ELSEWHERE: Final = ("oauth2_provider:register", "oauth2_provider:dcr-register")


@register(Tags.security)
def check_second_operator(**_kwargs: Any) -> list[CheckMessage]:
    """E037: neither True nor False. E038, W038: clients can be changed without approval."""
    value = configured().get("SECOND_OPERATOR", False)
    if not isinstance(value, bool):
        hint = 'Set DELEGATION["SECOND_OPERATOR"] to True or False.'
        return [error(f"SECOND_OPERATOR is {value!r}.", hint, "E037")]
    return [*_pages_past(), *_views_past()] if value else []


@register(Tags.database)
def check_operators(databases: Iterable[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """W037: fewer than two operators may decide, so changes could stay pending."""
    return subjects.found(_operators, databases) if conf.second_operator else []


def _operators() -> Iterator[CheckMessage]:
    found = _deciders()
    if found is None or found >= _NEEDED:
        return
    message = f"SECOND_OPERATOR is on, but only {found} active staff may approve changes."
    yield caution(message, f"Give at least two operators the permission {_DECIDE}.", "W037")


def _pages_past() -> Iterator[CheckMessage]:
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.sites import all_sites  # noqa: PLC0415 - an app that sites may lack

    from delegation_app import toolkit  # noqa: PLC0415 - apps not ready above
    from delegation_app.admin.proposals.registered import Registered  # noqa: PLC0415 - as above
    from delegation_app.models import ClientPolicy, ResourceServer  # noqa: PLC0415 - as above

    for site in all_sites:
        for model in (toolkit.application_model(), ResourceServer, ClientPolicy):
            if site.is_registered(model) and not isinstance(
                site.get_model_admin(model), Registered
            ):
                hint = (
                    "Call delegation_app.admin.clients.admin.extend(site), or unregister it there."
                )
                message = (
                    f"{model.__name__} in the admin site {site.name!r} has no second operator."
                )
                yield error(message, hint, "E038")


def _views_past() -> Iterator[CheckMessage]:
    for name in _ELSEWHERE:
        try:
            address = reverse(name)
        except NoReverseMatch:
            continue
        hint = "Remove the toolkit's management and registration URLs."
        yield caution(f"Clients can be added at {address} without a second operator.", hint, "W038")


def _deciders() -> int | None:
    from django.contrib.auth import get_user_model  # noqa: PLC0415 - apps not ready above

    manager: Any = get_user_model()._default_manager
    if not hasattr(manager, "with_perm"):
        return None
    backend = "django.contrib.auth.backends.ModelBackend"
    people = manager.with_perm(_DECIDE, backend=backend).filter(is_staff=True)
    return len(people.values_list("pk")[:_NEEDED])
