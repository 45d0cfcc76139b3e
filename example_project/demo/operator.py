"""What the operator does in the admin: find a delegation, stop it, read what happened."""

from typing import Final

from django.urls import reverse
from django.utils.html import escape

from delegation_app import events
from example_project.demo.browser import page_of
from example_project.demo.expectations import NotAsTold, expect
from example_project.demo.scene import Scene

REASON: Final = "Alice has lost her laptop"

# What must stand in the audit trail of Alice's delegation, in this order
TRAIL: Final = (
    events.DELEGATION_OPENED,
    events.CODE_ISSUED,
    events.TOKEN_ISSUED,
    events.TOKEN_REFRESHED,
    events.DELEGATION_REVOKED,
)


def find_the_delegation(scene: Scene) -> str:
    """The operator signs in to the admin, and looks for the id that the token carried."""
    operator = scene.world["users"]["operator"]
    shown = scene.operator.get(reverse("admin:index"))
    form = page_of(shown).form_with("password")
    shown = scene.operator.submit(
        shown, form, username=operator["username"], password=operator["password"]
    )
    page_of(shown).link_to("delegations")
    list_page = reverse("admin:delegation_app_delegation_changelist")
    found = page_of(scene.operator.get(f"{list_page}?q={scene.delegation_id}"))
    scene.shown = scene.operator.get(found.link_to("alice"))
    page_of(scene.shown)
    expect("that its page names it", scene.delegation_id in scene.shown.text, expected=True)
    return "its page shows who granted what to whom, and every token of it"


def revoke(scene: Scene) -> str:
    """The operator presses the button, gives a reason, and confirms."""
    confirmation = scene.operator.get(page_of(scene.shown).link_to("revoke"))
    form = page_of(confirmation).form_with("reason")
    scene.shown = scene.operator.submit(confirmation, form, reason=REASON)
    page_of(scene.shown)
    expect("that its page says why", escape(REASON) in scene.shown.text, expected=True)
    return "one click, one question, and it is over"


def read_the_trail(scene: Scene) -> str:
    """The operator reads the audit events of this delegation, oldest first."""
    list_page = reverse("admin:delegation_app_auditevent_changelist")
    page = page_of(scene.operator.get(f"{list_page}?q={scene.delegation_id}"))
    trail = [row for row in reversed(page.rows) if _event_in(row)]
    if not trail:
        raise NotAsTold("the audit trail", expected="some events", got="none")
    scene.transcript.rows(trail)
    wanted = [str(event.label) for event in TRAIL]
    expect("the events", [_event_in(row) for row in trail if _event_in(row) in wanted], wanted)
    return "who did what, when and why, from the first code to the end"


def _event_in(row: list[str]) -> str:
    labels = {str(event.label) for event in events.REGISTRY.values()}
    return next((cell for cell in row if cell in labels), "")
