"""What the answer to a question would give back: the page says it, sentence by sentence."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, DelegationBlock
from delegation_app.protocol.scope import Scope
from delegation_app.services.consent import history
from delegation_app.services.consent.fragments import plain
from delegation_app.services.consent.reach import Reach
from delegation_app.services.consent.request import Asked
from delegation_app.services.delegations import blocks
from delegation_app.services.delegations.revocation import CODE_REPLAYED, REFRESH_TOKEN_REUSED

_REPLAYS: Final = frozenset({CODE_REPLAYED, REFRESH_TOKEN_REUSED})
# More are not read before a button is pressed
_MOST: Final = 10


def sentences(asked: Asked, app: str, reach: Iterable[Reach]) -> list[str]:
    """Return what was taken from the app, or from the services behind it, and comes back.

    Reads only: two statements, and one more where anything was taken from a service.

    Args:
        asked: the question.
        app: the name of the app as the page shows it.
        reach: the resource servers that the authority may be passed on to.
    """
    found = [_sentence(block, asked, app) for block in history.returning(asked)]
    found += _of_services(asked, reach)
    return list(dict.fromkeys(found))[:_MOST]


def _sentence(block: DelegationBlock, asked: Asked, app: str) -> str:
    words = {
        "app": app,
        "day": _day(block.blocked_at),
        "what": _what(asked.offered if block.everything else asked.offered & block.scopes),
    }
    is_own = block.blocked_by == asked.sign_in.subject
    if block.is_limit:
        words["limits"] = " ".join(_limits(block))
        if is_own:
            text = _("You limited this on %(day)s: %(limits)s If you allow it, the limit is gone.")
        else:
            text = _(
                "An operator limited this on %(day)s: %(limits)s If you allow it, the limit is "
                "gone."
            )
        return text % words
    return _ended(block, is_own=is_own) % words


def _ended(block: DelegationBlock, *, is_own: bool) -> str:
    if is_own:
        return _("You ended this on %(day)s. If you allow it, it comes back: %(what)s")
    # Only this site says so: an operator's reason is a note for operators
    if block.blocked_by == "system" and block.reason in _REPLAYS:
        return _(
            "This site ended this on %(day)s: a code or token of %(app)s was used twice, and may "
            "be stolen. If you allow it, it comes back: %(what)s"
        )
    return _("This was taken from %(app)s on %(day)s. If you allow it, it comes back: %(what)s")


def _limits(block: DelegationBlock) -> list[str]:
    limits = block.constraints.describe()
    if block.ends_at is not None:
        limits.append(_("Until %(day)s.") % {"day": _day(block.ends_at)})
    return limits


def _what(scope: Scope) -> str:
    known = toolkit.all_scopes()
    return ", ".join(plain(known.get(name, name)) for name in scope) + "."


def _of_services(asked: Asked, reach: Iterable[Reach]) -> list[str]:
    # A later answer to this app has brought back what was taken before
    taken = blocks.of_children(asked.sign_in.subject, since=history.last_allowed(asked))
    if not taken:
        return []
    places = {*asked.audience, *(one.identifier for one in reach)}
    # The clients of these services are those that exchange what is sent to them
    able = ClientPolicy.objects.filter(
        application__introspectable_resource_servers__identifier__in=places
    ).select_related("application")
    names = {
        policy.application.client_id: plain(policy.application) or policy.application.client_id
        for policy in able
    }
    text = _("%(app)s could not act for you since %(day)s. If you allow this, that comes back.")
    return [
        text % {"app": names[block.client_id_value], "day": _day(block.blocked_at)}
        for block in taken
        if block.client_id_value in names
    ]


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "DATE_FORMAT")
