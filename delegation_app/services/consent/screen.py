"""The consent screen word for word, as the page shows it and the consent record keeps it.

The content is composed from the request, the time and the language. So the same request has the
same content when it is answered, unless something has changed. Reading a record looks nothing up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timesince import timesince
from django.utils.translation import get_language, ngettext, override
from django.utils.translation import gettext as _

from delegation_app import clock
from delegation_app.models import ClientPolicy
from delegation_app.models.fields import validate_web_address
from delegation_app.protocol.secrets import digest
from delegation_app.services.clients import logos
from delegation_app.services.consent import (
    durations,
    history,
    reach,
    regranted_authority,
    scope_groups,
)
from delegation_app.services.consent.fragments import PLAIN, STRONG, Piece, fragments, sanitize
from delegation_app.services.consent.reach import ReachableServer
from delegation_app.services.consent.request import ConsentRequest

# Raised whenever the words or the order of the screen change
VERSION: Final = "5"

_MAX_TARGETS: Final = 10


@dataclass(frozen=True, slots=True)
class Screen:
    """A consent screen.

    Attributes:
        request: the request.
        content: JSON members; the templates place each of them.
        locale: its language.
        at: the time for which it is composed.
    """

    request: ConsentRequest
    content: dict[str, Any]
    locale: str
    at: datetime

    @property
    def fingerprint(self) -> dict[str, Any]:
        """JSON members by which `recompose` recognizes it, without its content."""
        text = json.dumps(self.content, sort_keys=True)
        moment = int(self.at.timestamp())
        return {"digest": digest(text), "locale": self.locale, "at": moment}


def compose(
    request: ConsentRequest, at: datetime | None = None, locale: str | None = None
) -> Screen:
    """Return the screen for a request. Reads only.

    Args:
        request: what is requested.
        at: the time at which it is shown; the present if left out.
        locale: its language; the current one if left out.
    """
    locale = get_language() or "" if locale is None else locale
    at = (at or clock.now()).replace(microsecond=0)
    with override(locale or None):
        return Screen(request, _content(request, at), locale, at)


def recompose(request: ConsentRequest, fingerprint: Mapping[str, Any]) -> Screen | None:
    """Return the screen that the user saw; None if it would be different now. Reads only.

    Args:
        request: what is requested.
        fingerprint: that of the screen.
    """
    at = datetime.fromtimestamp(fingerprint["at"], UTC)
    screen = compose(request, at, fingerprint["locale"])
    return screen if screen.fingerprint["digest"] == fingerprint["digest"] else None


def _content(request: ConsentRequest, at: datetime) -> dict[str, Any]:
    name = app_name(request)
    may_act = request.client.policy.may_act
    onward = reach.onward(request.scope, request.audience, request.constraints, at, may_act=may_act)
    pending, until = history.approval(request, request.selectable)
    scopes = scope_groups.content(request)
    regranted = regranted_authority.of(request, name, onward)
    return {
        "heading": _heading(request, name),
        "sentence": _sentence(request, name, at),
        "person": [
            *fragments(
                _("You are signed in as %(person)s. "),
                person=sanitize(request.sign_in.user.get_username()),
            ),
            *fragments(_("The app never sees your password.")),
        ],
        "app": _app(request, name, at),
        "warnings": _warnings(request, name),
        "compare": _("Compare this code with the one on your device:")
        if request.is_on_a_device
        else "",
        **scopes,
        "facts": _facts(request, onward.targets),
        "notes": [*regranted.sentences, *_notes(request, until, pending=pending)],
        # Not shown: two screens with the same words may be about different blocks
        "restores": regranted.marks,
        "reach": regranted.reach,
        "time": _time(request, at),
        "foot": fragments(_("You can end this at any time under %(page)s."), page=_("Connections")),
        "deny": _("Deny"),
        "allow": _("Allow"),
    }


def app_name(request: ConsentRequest) -> str:
    """Return the name of the app; its client id if it has none."""
    return sanitize(request.client.application) or sanitize(request.client.client_id)


def _heading(request: ConsentRequest, name: str) -> list[Piece]:
    if request.is_on_a_device:
        return fragments(_("Let %(app)s on a device act for you?"), app=name)
    if request.already_granted:
        return fragments(_("Let %(app)s do more for you?"), app=name)
    return fragments(_("Let %(app)s act for you?"), app=name)


def _sentence(request: ConsentRequest, name: str, at: datetime) -> list[Piece]:
    servers = request.client.servers
    places = [sanitize(servers[one].name) or one for one in request.audience]
    longest = request.client.delegation_lifetime
    # A list of names in one sentence, each kept apart
    keys = [f"place{number}" for number in range(len(places))]
    where = ", ".join(f"%({key})s" for key in keys)
    if longest is None:
        sentence = _(
            "If you allow this, you let %(app)s act for you at {where} until you or an operator "
            "end it, or for the shorter time that you choose{within}."
        )
        day = ""
    else:
        sentence = _(
            "If you allow this, you let %(app)s act for you at {where} until %(day)s, or for the "
            "shorter time that you choose{within}."
        )
        day = _day(at + longest)
    named = dict(zip(keys, places, strict=True))
    within = _(", within the limits below") if request.constraints.describe() else ""
    sentence = sentence.replace("{where}", where).replace("{within}", within)
    return fragments(sentence, app=name, day=day, **named)


def _app(request: ConsentRequest, name: str, at: datetime) -> dict[str, Any]:
    client = request.client
    verified = client.is_confidential
    created = getattr(client.application, "created", None)
    return {
        "name": name,
        "verified": verified,
        # A logo would vouch for what any app can claim to be
        "logo": logos.address_of(client.policy) if verified else "",
        "registered": "" if created is None else _registered(created, at),
        "links": _links(client.policy),
    }


def _links(policy: ClientPolicy) -> list[dict[str, str]]:
    found = []
    for label, address in (
        (_("Home page"), policy.home_page),
        (_("Privacy"), policy.privacy_page),
    ):
        # Again: scripts can store what the forms refuse
        try:
            validate_web_address(address)
        except ValidationError:
            continue
        host = urlsplit(address).hostname or ""
        found.append({"label": label, "address": address, "host": host})
    return found


def _registered(created: datetime, at: datetime) -> str:
    if (at - created).total_seconds() < 60:  # noqa: PLR2004 - of a minute
        return _("Registered here just now.")
    ago = timesince(created, at, depth=1).replace("\xa0", " ")
    return _("Registered here %(time)s ago.") % {"time": ago}


def _warnings(request: ConsentRequest, name: str) -> list[list[Piece]]:
    anyone = fragments(_("Any app can claim to be %(app)s. "), app=name)
    found = []
    if request.is_on_a_device:
        found.append(
            [
                [STRONG, _("Another person may have started this.")],
                *fragments(
                    _(
                        " Go on only if the device is in front of you and shows this code. Never "
                        "enter a code that someone sent you. "
                    )
                ),
                *([] if request.client.is_confidential else anyone),
            ]
        )
    elif not request.client.is_confidential:
        go_on = fragments(_("Go on only if you started this yourself just now."))
        found.append([[STRONG, _("Unverified app.")], [PLAIN, " "], *anyone, *go_on])
    return found


def _facts(request: ConsentRequest, targets: list[ReachableServer]) -> list[dict[str, Any]]:
    servers = request.client.servers
    where = [{"text": sanitize(servers[one].name), "code": one} for one in request.audience]
    found = [{"label": _("Where"), "lines": where}]
    if limits := request.constraints.describe():
        found.append({"label": _("Limits"), "lines": [{"text": limit} for limit in limits]})
    found.append({"label": _("May be passed on to"), "lines": _targets(targets)})
    if not request.is_on_a_device:
        host = {"text": sanitize(request.redirect_host), "strong": True}
        found.append({"label": _("Afterwards you go to"), "lines": [host]})
    return found


def _targets(found: list[ReachableServer]) -> list[dict[str, Any]]:
    if not found:
        return [{"text": _("no other service")}]
    values: list[dict[str, Any]] = [
        {"text": sanitize(one.name), "code": one.identifier} for one in found[:_MAX_TARGETS]
    ]
    more = len(found) - len(values)
    if more:
        values.append(
            {"text": ngettext("and %(count)d more", "and %(count)d more", more) % {"count": more}}
        )
    return values


def _notes(request: ConsentRequest, until: datetime | None, *, pending: bool) -> list[str]:
    notes = []
    if request.previously_granted:
        notes.append(
            _(
                "The app has to ask again for what you untick here. What you allowed before stays "
                "as it is until you end it."
            )
        )
    if pending:
        notes.append(
            _(
                "If you tick something of high risk, an operator has to approve your answer first. "
                "Until then the app gets nothing of it."
            )
        )
    if until is not None:
        notes.append(
            _("Items of high risk were allowed until %(day)s. This answer does not last longer.")
            % {"day": _day(until)}
        )
    return notes


def _time(request: ConsentRequest, at: datetime) -> dict[str, Any]:
    client = request.client
    longest = client.delegation_lifetime
    whole = (
        _("until you or an operator end it")
        if longest is None
        else _("until %(day)s") % {"day": _day(at + longest)}
    )
    options = [[str(seconds), str(label)] for seconds, label in durations.offered(client)]
    return {
        "label": _("How long"),
        "options": [*options, ["", whole]],
        "chosen": durations.preselected(client),
    }


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "DATE_FORMAT")
