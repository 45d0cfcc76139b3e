"""Checks of registered clients, whose problems would otherwise surface as refused requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.core.checks import CheckMessage, Tags, register

from delegation_app.checks import subjects
from delegation_app.checks.subjects import caution

# Enough to see the pattern; a site may have thousands of clients.
_MOST: Final = 20
_READ: Final = 1000


@register(Tags.database)
def check_clients(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """W028: an unusable redirect URI. W029: a public client marked as trusted."""
    return subjects.found(lambda: [*_redirect_uris(), *_trust()], databases)


def _redirect_uris() -> Iterator[CheckMessage]:
    from delegation_app.services.clients import setup_problems  # noqa: PLC0415 - apps not ready above

    found = (
        f"{row.client_id}: {sentence}"
        for row in _newest().exclude(redirect_uris="")[:_READ]
        for sentence in setup_problems.of_redirect_uris(row)
    )
    for _index, message in zip(range(_MOST), found, strict=False):
        yield caution(message, "Correct or remove it on the page of the client.", "W028")


def _trust() -> Iterator[CheckMessage]:
    from delegation_app.services.clients import setup_problems  # noqa: PLC0415 - as above

    hint = "Clear “skip authorization”, or make it a confidential client."
    trusted = _newest().filter(skip_authorization=True)[:_READ]
    in_vain = [row for row in trusted if setup_problems.is_trusted_in_vain(row)]
    for row in in_vain[:_MOST]:
        message = f"{row.client_id} skips authorization, but users are prompted: it is public."
        yield caution(message, hint, "W029")


def _newest() -> Any:
    from delegation_app import toolkit  # noqa: PLC0415 - as above

    return toolkit.application_model()._default_manager.using(subjects.our_alias()).order_by("-pk")
