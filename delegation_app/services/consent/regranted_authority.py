"""Blocked authority that an answer grants again: the screen lists it, sentence by sentence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from delegation_app import clock, toolkit
from delegation_app.models import ConsentRecord, DelegationBlock
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.scope import Scope
from delegation_app.services.consent import history
from delegation_app.services.consent.fragments import sanitize
from delegation_app.services.consent.reach import Onward
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.delegations import blocks
from delegation_app.services.delegations.blocks import Authority
from delegation_app.services.delegations.revocation import CODE_REPLAYED, REFRESH_TOKEN_REUSED

_REPLAYS: Final = frozenset({CODE_REPLAYED, REFRESH_TOKEN_REUSED})
# Users do not read more before they press a button
_MAX_SENTENCES: Final = 10


@dataclass(frozen=True, slots=True)
class RegrantedAuthority:
    """What an answer grants again.

    Attributes:
        sentences: for the user, in their language.
        marks: the block behind each sentence, with the client that it binds. The consent record
            keeps them: what was blocked of a service is granted again by these only.
        reach: the resource servers of the answer, those reached through others too. Empty where
            nothing of a service is granted again.
    """

    sentences: list[str]
    marks: list[list[str]]
    reach: list[str]


def of(request: ConsentRequest, app: str, onward: Onward) -> RegrantedAuthority:
    """Return the blocked authority of the app and of the services behind it that is regranted.

    Reads only: two statements, and two more where anything of a service is blocked.

    Args:
        request: what is requested.
        app: the name of the app as the screen shows it.
        onward: the clients that may pass the authority on.
    """
    own = history.regranted_blocks(request)
    said = list(dict.fromkeys(_sentence(block, request, app) for block in own))
    if len(said) > _MAX_SENTENCES:
        # The answer grants all of it again, so the screen says that there is more
        more = _("More was taken from %(app)s before. If you allow this, all of it comes back.")
        said = [*said[1 - _MAX_SENTENCES :], more % {"app": app}]
    marks = [[request.client.client_id, str(block.public_id)] for block in own]
    reach = Audience([*request.audience, *(one.identifier for one in onward.targets)])
    of_services = _of_services(request, onward.clients, Authority(request.scope, reach))
    shown = list(dict.fromkeys(sentence for sentence, _mark in of_services))[:_MAX_SENTENCES]
    marks += [mark for sentence, mark in of_services if sentence in shown]
    return RegrantedAuthority([*said, *shown], marks, list(reach) if of_services else [])


def _sentence(block: DelegationBlock, request: ConsentRequest, app: str) -> str:
    words = {
        "app": app,
        "day": _day(block.blocked_at),
        "what": _what(
            request.selectable if block.everything else request.selectable & block.scopes
        ),
    }
    is_own = block.blocked_by == request.sign_in.subject
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
    return ", ".join(sanitize(known.get(name, name)) for name in scope) + "."


def _of_services(
    request: ConsentRequest, able: frozenset[str], authority: Authority
) -> list[tuple[str, list[str]]]:
    clients = able - {request.client.client_id}
    taken = blocks.binding(authority, blocks.of_clients(request.sign_in.subject, clients))
    if not taken:
        return []
    subject, app = request.sign_in.subject, request.client.client_id
    before = blocks.given_back(subject, app, since=min(block.blocked_at for block in taken))
    called = _names(clients)
    text = _("%(app)s could not act for you since %(day)s. If you allow this, that comes back.")
    return [
        (text % {"app": called[name], "day": _day(block.blocked_at)}, [name, str(block.public_id)])
        for block in taken
        for name in sorted({block.client_id_value} & clients if block.client_id_value else clients)
        # Unless a screen has listed it: a checkbox was cleared, or a server was out of reach
        if blocks.binding(
            authority, blocks.rest(block, before.get((name, str(block.public_id)), []), authority)
        )
    ]


def _names(clients: Iterable[str]) -> dict[str, str]:
    rows = toolkit.application_model()._default_manager.filter(client_id__in=clients)
    return {row.client_id: sanitize(row) or row.client_id for row in rows}


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "DATE_FORMAT")


_BATCH: Final = 500


def times(
    found: Iterable[DelegationBlock], *, subject: str = "", client_id: str = ""
) -> dict[int, datetime]:
    """Return when the user allowed on a screen all that a block binds, by the key of the block.

    A block without an entry still binds. A block of everything is overcome by a screen on which the
    user left nothing out.

    Args:
        found: the blocks.
        subject, client_id: the pair that judges blocks without a principal or a client; without it
            they are left out.

    Side effects: none; one statement, none without blocks.
    """
    pairs = {
        block: (block.subject or subject, block.client_id_value or client_id) for block in found
    }
    named = {block: pair for block, pair in pairs.items() if all(pair)}
    if not named:
        return {}
    rows = ConsentRecord.objects.effective(clock.now()).filter(
        subject__in={one for one, _client in named.values()},
        client_id_value__in={one for _subject, one in named.values()},
        decided_at__gt=min(block.blocked_at for block in named),
    )
    answers = defaultdict(list)
    for row in rows.defer("shown").order_by("decided_at", "pk"):
        answers[row.subject, row.client_id_value].append(row)
    judged = ((block.pk, _time(block, answers[pair])) for block, pair in named.items())
    return {key: time for key, time in judged if time is not None}


def keys(rows: QuerySet[DelegationBlock]) -> Iterator[int]:
    """Return the keys of the blocks that are overcome; see `times`.

    Side effects: none; one statement for every 500 blocks of a pair that has a later answer.
    """
    later = ConsentRecord.objects.effective(clock.now()).filter(
        subject=OuterRef("subject"),
        client_id_value=OuterRef("client_id_value"),
        decided_at__gt=OuterRef("blocked_at"),
    )
    rest = rows.filter(Exists(later)).iterator(_BATCH)
    while some := list(islice(rest, _BATCH)):
        yield from times(some)


def _time(block: DelegationBlock, answers: Iterable[ConsentRecord]) -> datetime | None:
    missing = {(name, place) for name in block.scopes for place in block.audience or ()}
    for one in answers:
        if one.decided_at <= block.blocked_at:
            continue
        missing -= {(name, place) for name in one.scopes_granted for place in one.audience}
        is_allowed = not one.scopes_refused if block.everything else not missing
        if is_allowed:
            return one.decided_at
    return None
