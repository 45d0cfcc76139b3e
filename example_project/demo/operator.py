"""The operator in the admin: find a delegation, revoke it, read the audit trail."""

import json
from collections.abc import Iterator
from typing import Final

from django.db import connections
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from delegation_app import events
from delegation_app.models import Delegation
from example_project.demo.scene import Scene
from example_project.demo.steps import StepFailed, expect

NOISY: Final = "Service A calls service B too often"
LOST: Final = "Alice has lost her laptop"

# The audit trail of each delegation of the tree has these events, in this order
_CHILD: Final = (events.DELEGATION_CHAINED, events.TOKEN_EXCHANGED, events.TOKEN_EXCHANGED)
TRAILS: Final = {
    "what Alice delegated to the app": (
        events.DELEGATION_CREATED,
        events.CODE_ISSUED,
        events.TOKEN_ISSUED,
        events.TOKEN_REFRESHED,
        events.DELEGATION_REVOKED,
    ),
    "what the app delegated to service A": (*_CHILD, events.DELEGATION_REVOKED),
    # Revoked with its parent, whose event counts both
    "what service A delegated to service B": _CHILD,
}


def find_the_delegation(scene: Scene) -> str:
    """The operator signs in, and searches for the delegation id of the token."""
    scene.operator.open(reverse("admin:index"))
    scene.operator.submit("password", **scene.world["users"]["operator"])
    scene.operator.find('a:-soup-contains("Delegations")')
    _open(scene, scene.delegation_id)
    _show_tree(scene, ["live", "live", "live"])
    return "who delegated what to whom, and what was delegated onward"


def revoke_the_middle(scene: Scene) -> str:
    """The operator revokes the delegation in the middle."""
    _revoke(scene, scene.at_b.delegation_id, NOISY)
    _show_tree(scene, ["live", "revoked", "revoked"])
    return "revoked for service A, which cannot obtain another, and for service B below it"


def revoke_the_root(scene: Scene) -> str:
    """The operator revokes the root."""
    _revoke(scene, scene.delegation_id, LOST)
    _show_tree(scene, ["revoked", "revoked", "revoked"])
    return "revoked for the app, and for everything below it"


def read_the_trail(scene: Scene) -> str:
    """The operator reads the audit trail of the three delegations."""
    rows: list[tuple[str, ...]] = []
    for delegation_id, (title, wanted) in zip(scene.tree, TRAILS.items(), strict=True):
        trail = _trail_of(scene, delegation_id)
        scene.transcript.rows(title, trail)
        labels = [str(event.label) for event in wanted]
        expect("the events", [row[1] for row in trail if row[1] in labels], labels)
        rows += trail
    refused = {
        actor for _at, label, actor, _why in rows if label == str(events.REQUEST_REFUSED.label)
    }
    expect("that refusals of A are recorded", "client:service_a" in refused, expected=True)
    return "who did what, when and why, from the consent to the end"


def read_the_chain(scene: Scene) -> str:
    """The operator opens the event of the last exchange."""
    _open(scene, scene.at_c.delegation_id)
    scene.operator.follow(f'a:-soup-contains("{events.TOKEN_EXCHANGED.label}")')
    details = json.loads(scene.operator.find("pre").get_text())
    scene.transcript.facts("details", details)
    expect("the chain", details.get("chain"), list(scene.tree))
    return "the event has the whole chain, from Alice's delegation to the last service"


def _trail_of(scene: Scene, delegation_id: str) -> list[tuple[str, ...]]:
    list_page = reverse("admin:delegation_app_auditevent_changelist")
    scene.operator.open(f"{list_page}?q={delegation_id}")
    trail: list[tuple[str, ...]] = []
    for row in reversed(scene.operator.page.select("tr:has(time)")):
        cells = [" ".join(cell.get_text().split()) for cell in row.select("td")]
        at, label, _outcome, why, actor, *_more = cells
        trail.append((at.rpartition(", ")[2], label, actor, why))
    if not trail:
        raise StepFailed("the audit trail", expected="some events", got="none")
    return trail


def _open(scene: Scene, delegation_id: str) -> None:
    list_page = reverse("admin:delegation_app_delegation_changelist")
    scene.operator.open(f"{list_page}?q={delegation_id}")
    scene.operator.follow('#result_list a:-soup-contains("alice")')
    expect("that the page names it", delegation_id in str(scene.operator.page), expected=True)


def _revoke(scene: Scene, delegation_id: str, reason: str) -> None:
    _open(scene, delegation_id)
    scene.operator.follow('a[href$="/revoke/"]')
    scene.operator.submit("reason", reason=reason)
    expect(
        "that the page has the reason", escape(reason) in str(scene.operator.page), expected=True
    )


def _show_tree(scene: Scene, wanted: list[str]) -> None:
    rows = list(_tree(scene.delegation_id))
    # SQLite has one writer, and the server needs it.
    connections.close_all()
    scene.transcript.rows("the tree", rows)
    expect("the states in the tree", [state for _who, state, *_ in rows], wanted)


def _tree(root: str) -> Iterator[tuple[str, str, str, str]]:
    """Read the tree from the database: delegate, state, scopes and audience of each delegation."""
    found = Delegation.objects.filter(root__public_id=root).select_related("principal_user")
    live = set(Delegation.objects.live(timezone.now()).filter(root__public_id=root))
    for delegation in found.order_by("path"):
        indent = "   " * (delegation.depth - 1) + "└─ " if delegation.depth else ""
        who = f"{delegation.principal_user} → " if not delegation.depth else ""
        yield (
            f"{indent}{who}{delegation.delegate_client_id}",
            "live" if delegation in live else "revoked",
            " ".join(delegation.scopes),
            f"at {', '.join(delegation.audience)}",
        )
