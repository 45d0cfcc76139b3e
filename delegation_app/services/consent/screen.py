"""The question word for word: what the page shows, and what stands in the record of the answer.

The text is made from what is asked and the moment at which it is shown, in one language. So the
same question has the same text again when it is answered, or has changed meanwhile. Nothing of it
is looked up again when a record is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timesince import timesince
from django.utils.translation import get_language, ngettext, override
from django.utils.translation import gettext as _

from delegation_app import clock
from delegation_app.protocol.secrets import digest
from delegation_app.services.clients import logos
from delegation_app.services.consent import durations, history, reach, restored, scope_groups
from delegation_app.services.consent.fragments import PLAIN, STRONG, Piece, fragments, sanitize
from delegation_app.services.consent.reach import ReachableServer
from delegation_app.services.consent.request import ConsentRequest

# Raised whenever the words or the order of the page change
VERSION: Final = "4"

_MOST_TARGETS: Final = 10


@dataclass(frozen=True, slots=True)
class ScreenText:
    """What a person is shown.

    Attributes:
        content: JSON members; the templates say where each goes.
        locale: the language of it.
        at: the moment from which times in it are told.
    """

    content: dict[str, Any]
    locale: str
    at: datetime

    @property
    def digest(self) -> str:
        """What a later text is compared with."""
        return digest(json.dumps(self.content, sort_keys=True))


def compose(
    asked: ConsentRequest, at: datetime | None = None, locale: str | None = None
) -> ScreenText:
    """Return the text of a question. Reads only.

    Args:
        asked: the question.
        at: the moment at which it is shown; the present if left out.
        locale: its language; the current one if left out.
    """
    locale = get_language() or "" if locale is None else locale
    at = (at or clock.now()).replace(microsecond=0)
    with override(locale or None):
        return ScreenText(_content(asked, at), locale, at)


def _content(asked: ConsentRequest, at: datetime) -> dict[str, Any]:
    name = app_name(asked)
    may_act = asked.client.policy.may_act
    onward = reach.onward(asked.scope, asked.audience, asked.constraints, at, may_act=may_act)
    comes_back = restored.of(asked, name, onward)
    return {
        "heading": _heading(asked, name),
        "sentence": _sentence(asked, name, at),
        "person": [
            *fragments(
                _("You are signed in as %(person)s. "),
                person=sanitize(asked.sign_in.user.get_username()),
            ),
            *fragments(_("The app never sees your password.")),
        ],
        "app": _app(asked, name, at),
        "warnings": _warnings(asked, name),
        "compare": _("Compare this code with the one on your device:")
        if asked.is_on_a_device
        else "",
        **scope_groups.content(asked),
        "facts": _facts(asked, onward.targets),
        "notes": [*comes_back.sentences, *_notes(asked)],
        # Not shown: two texts with the same words may be about different things that were taken
        "restores": comes_back.marks,
        "reach": comes_back.reach,
        "time": _time(asked, at),
        "foot": fragments(_("You can end this at any time under %(page)s."), page=_("Connections")),
        "deny": _("Deny"),
        "allow": _("Allow"),
    }


def app_name(asked: ConsentRequest) -> str:
    """Return how the app is called; one without a name goes by its client id."""
    return sanitize(asked.client.application) or sanitize(asked.client.client_id)


def _heading(asked: ConsentRequest, name: str) -> list[Piece]:
    if asked.is_on_a_device:
        return fragments(_("Let %(app)s on a device act for you?"), app=name)
    if asked.held:
        return fragments(_("Let %(app)s do more for you?"), app=name)
    return fragments(_("Let %(app)s act for you?"), app=name)


def _sentence(asked: ConsentRequest, name: str, at: datetime) -> list[Piece]:
    servers = asked.client.servers
    places = [sanitize(servers[one].name) or one for one in asked.audience]
    longest = asked.client.delegation_lifetime
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
    within = _(", within the limits below") if asked.constraints.describe() else ""
    sentence = sentence.replace("{where}", where).replace("{within}", within)
    return fragments(sentence, app=name, day=day, **named)


def _app(asked: ConsentRequest, name: str, at: datetime) -> dict[str, Any]:
    client = asked.client
    verified = client.is_confidential
    created = getattr(client.application, "created", None)
    return {
        "name": name,
        "verified": verified,
        # A picture would vouch for what anybody can claim to be
        "logo": logos.address_of(client.policy) if verified else "",
        "registered": "" if created is None else _registered(created, at),
        "links": scope_groups.links(client.policy),
    }


def _registered(created: datetime, at: datetime) -> str:
    if (at - created).total_seconds() < 60:  # noqa: PLR2004 - of a minute
        return _("Registered here just now.")
    ago = timesince(created, at, depth=1).replace("\xa0", " ")
    return _("Registered here %(time)s ago.") % {"time": ago}


def _warnings(asked: ConsentRequest, name: str) -> list[list[Piece]]:
    anybody = fragments(_("Anybody can claim to be %(app)s. "), app=name)
    found = []
    if asked.is_on_a_device:
        found.append(
            [
                [STRONG, _("Another person may have started this.")],
                *fragments(
                    _(
                        " Go on only if the device is in front of you and shows this code. Never "
                        "enter a code that someone sent you. "
                    )
                ),
                *([] if asked.client.is_confidential else anybody),
            ]
        )
    elif not asked.client.is_confidential:
        go_on = fragments(_("Go on only if you started this yourself just now."))
        found.append([[STRONG, _("Unverified app.")], [PLAIN, " "], *anybody, *go_on])
    return found


def _facts(asked: ConsentRequest, targets: list[ReachableServer]) -> list[dict[str, Any]]:
    servers = asked.client.servers
    where = [{"text": sanitize(servers[one].name), "code": one} for one in asked.audience]
    found = [{"label": _("Where"), "lines": where}]
    if limits := asked.constraints.describe():
        found.append({"label": _("Limits"), "lines": [{"text": limit} for limit in limits]})
    found.append({"label": _("May be passed on to"), "lines": _targets(targets)})
    if not asked.is_on_a_device:
        host = {"text": sanitize(asked.leads_to), "strong": True}
        found.append({"label": _("Afterwards you go to"), "lines": [host]})
    return found


def _targets(found: list[ReachableServer]) -> list[dict[str, Any]]:
    if not found:
        return [{"text": _("nobody")}]
    values: list[dict[str, Any]] = [
        {"text": sanitize(one.name), "code": one.identifier} for one in found[:_MOST_TARGETS]
    ]
    more = len(found) - len(values)
    if more:
        values.append(
            {"text": ngettext("and %(count)d more", "and %(count)d more", more) % {"count": more}}
        )
    return values


def _notes(asked: ConsentRequest) -> list[str]:
    risky = scope_groups.to_be_confirmed(asked)
    notes = []
    if asked.known:
        notes.append(
            _(
                "The app has to ask again for what you untick here. What you allowed before stays "
                "as it is until you end it."
            )
        )
    if risky and history.confirmed(asked, risky) is None:
        notes.append(
            _(
                "If you tick something of high risk, an operator has to confirm your answer first. "
                "Until then the app gets nothing of it."
            )
        )
    if (until := scope_groups.bound(asked, risky)) is not None:
        notes.append(
            _("What has a high risk was allowed until %(day)s. This answer does not last longer.")
            % {"day": _day(until)}
        )
    return notes


def _time(asked: ConsentRequest, at: datetime) -> dict[str, Any]:
    client = asked.client
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
        "chosen": durations.first_choice(client),
    }


def _day(moment: datetime) -> str:
    return date_format(timezone.localtime(moment), "DATE_FORMAT")
