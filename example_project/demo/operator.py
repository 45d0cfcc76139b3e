"""What the operator does in the admin: find a delegation, stop it, read what happened."""

import json
from collections.abc import Iterator
from typing import Final

from django.db import connections
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from delegation_app import events
from delegation_app.models import Delegation
from example_project.demo.browser import page_of
from example_project.demo.expectations import NotAsTold, expect
from example_project.demo.page import Page
from example_project.demo.scene import Scene

NOISY: Final = "Service A asks too much of service B"
LOST: Final = "Alice has lost her laptop"

# What must stand in the audit trail of each delegation of the tree, in this order
_ROOT: Final = (
    events.DELEGATION_CREATED,
    events.CODE_ISSUED,
    events.TOKEN_ISSUED,
    events.TOKEN_REFRESHED,
    events.DELEGATION_REVOKED,
)
_CHILD: Final = (
    events.DELEGATION_CHAINED,
    events.TOKEN_EXCHANGED,
    events.TOKEN_EXCHANGED,
    events.DELEGATION_REVOKED,
)
TRAILS: Final = {
    "what the app got from Alice": _ROOT,
    "what service A got from the app": _CHILD,
    # It ended with the one above, which is told there.
    "what service B got from service A": _CHILD[:-1],
}


def find_the_delegation(scene: Scene) -> str:
    """The operator signs in to the admin, and looks for the id that the token carried."""
    operator = scene.world["users"]["operator"]
    shown = scene.operator.get(reverse("admin:index"))
    form = page_of(shown).form_with("password")
    shown = scene.operator.submit(
        shown, form, username=operator["username"], password=operator["password"]
    )
    page_of(shown).link_to("delegations")
    _open(scene, scene.delegation_id)
    _show_tree(scene, ["live", "live", "live"])
    return "who granted what to whom, and what was made from it"


def revoke_the_middle(scene: Scene) -> str:
    """The operator ends what service A was handed on, and nothing above it."""
    _revoke(scene, scene.at_b.delegation_id, NOISY)
    _show_tree(scene, ["live", "revoked", "revoked"])
    return "over for service A, which gets no other, and for service B below it"


def revoke_the_root(scene: Scene) -> str:
    """The operator ends all of it."""
    _revoke(scene, scene.delegation_id, LOST)
    _show_tree(scene, ["revoked", "revoked", "revoked"])
    return "the app is out, and whatever came from it"


def read_the_trail(scene: Scene) -> str:
    """The operator reads the audit events of each delegation of the tree, oldest first."""
    told: list[list[str]] = []
    for delegation_id, (whose, wanted) in zip(scene.tree, TRAILS.items(), strict=True):
        trail = _trail_of(scene, delegation_id)
        scene.transcript.facts(whose, {})
        scene.transcript.rows(trail)
        labels = [str(event.label) for event in wanted]
        expect("the events", [_event_in(row) for row in trail if _event_in(row) in labels], labels)
        told += trail
    refused = [row for row in told if str(events.REQUEST_REFUSED.label) in row]
    by_a = any("service_a" in row for row in refused)
    expect("that what service A was refused is told", by_a, expected=True)
    return "who did what, when and why, from the first code to the end"


def read_the_chain(scene: Scene) -> str:
    """The operator opens the event of the last exchange."""
    page = _open(scene, scene.at_c.delegation_id)
    event = page_of(scene.operator.get(page.link_to(str(events.TOKEN_EXCHANGED.label))))
    details = json.loads(next(iter(event.texts), "{}"))
    scene.transcript.facts("details", details)
    expect("the chain", details.get("chain"), list(scene.tree))
    return "the event names the whole chain, from Alice's own grant to the last service"


def _trail_of(scene: Scene, delegation_id: str) -> list[list[str]]:
    list_page = reverse("admin:delegation_app_auditevent_changelist")
    page = page_of(scene.operator.get(f"{list_page}?q={delegation_id}"))
    # The day is the same all along, the minute is not.
    trail = [
        [when.rpartition(", ")[2], *row] for when, *row in reversed(page.rows) if _event_in(row)
    ]
    if not trail:
        raise NotAsTold("the audit trail", expected="some events", got="none")
    return trail


def _open(scene: Scene, delegation_id: str) -> Page:
    list_page = reverse("admin:delegation_app_delegation_changelist")
    found = page_of(scene.operator.get(f"{list_page}?q={delegation_id}"))
    scene.shown = scene.operator.get(found.link_to("alice"))
    page = page_of(scene.shown)
    expect("that its page names it", delegation_id in scene.shown.text, expected=True)
    return page


def _revoke(scene: Scene, delegation_id: str, reason: str) -> None:
    page = _open(scene, delegation_id)
    confirmation = scene.operator.get(page.address_ending("/revoke/"))
    form = page_of(confirmation).form_with("reason")
    scene.shown = scene.operator.submit(confirmation, form, reason=reason)
    page_of(scene.shown)
    expect("that its page says why", escape(reason) in scene.shown.text, expected=True)


def _show_tree(scene: Scene, wanted: list[str]) -> None:
    rows = list(_tree(scene.delegation_id))
    # The server has the database to itself again.
    connections.close_all()
    scene.transcript.facts("the tree", {})
    scene.transcript.rows([row for row, _state in rows], always=2)
    expect("the states in the tree", [state for _row, state in rows], wanted)


def _tree(root: str) -> Iterator[tuple[list[str], str]]:
    """Read the tree from the database: each line as it is shown, and its state."""
    found = Delegation.objects.filter(root__public_id=root).select_related("principal_user")
    live = set(Delegation.objects.live(timezone.now()).filter(root__public_id=root))
    for delegation in found.order_by("path"):
        indent = "   " * (delegation.depth - 1) + "└─ " if delegation.depth else ""
        who = f"{delegation.principal_user} → " if not delegation.depth else ""
        state = "live" if delegation in live else "revoked"
        yield (
            [
                f"{indent}{who}{delegation.delegate_client_id}",
                state,
                " ".join(delegation.scopes),
                f"at {', '.join(delegation.audience)}",
            ],
            state,
        )


def _event_in(row: list[str]) -> str:
    labels = {str(event.label) for event in events.REGISTRY.values()}
    return next((cell for cell in row if cell in labels), "")
