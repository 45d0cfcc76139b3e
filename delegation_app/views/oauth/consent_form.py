"""What every page does that asks a person to let a client act for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services.consent.decision import AskAgain
from delegation_app.services.consent.screen import ScreenText


@dataclass(frozen=True, slots=True)
class PreviousInput:
    """What a person answered that could not be taken, so that they need not do it again.

    Attributes:
        why: the sentence that says what is wrong.
        ticked: what they had ticked.
        lifetime: the time that they had chosen.
    """

    why: str
    ticked: frozenset[str]
    lifetime: str

    @classmethod
    def of(cls, parameters: Parameters, error: AskAgain) -> PreviousInput:
        """Return what a form said that came too soon."""
        ticked = frozenset(parameters.all("scopes"))
        return cls(error.sentence, ticked, parameters.get("lifetime") or "")


def shown(text: ScreenText, before: PreviousInput | None = None) -> dict[str, Any]:
    """Return the variables of the question's own part of a page.

    Args:
        text: the question word for word.
        before: what was answered before, if the page is shown again.
    """
    content = text.content
    boxes = [row for group in content["groups"] for row in group["scopes"]]
    if before is None:
        ticked = frozenset(row["name"] for row in boxes if row["ticked"])
        return {"question": content, "ticked": ticked, "lifetime": content["time"]["chosen"]}
    return {
        "question": content,
        "ticked": before.ticked,
        "lifetime": before.lifetime,
        "why_again": before.why,
    }


def expired() -> AskAgain:
    """Return the refusal of an answer to a page that was open for too long."""
    sentence = _("This page was open for a long time. Read it again before you answer.")
    return AskAgain(sentence, detail="the page is too old")
