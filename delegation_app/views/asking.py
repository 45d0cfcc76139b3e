"""What every page shows that asks a person to let a client act for them."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from delegation_app.services.answers import Asked
from delegation_app.services.question import descriptions, lifetimes


def shown(asked: Asked) -> dict[str, Any]:
    """Return the variables of the question's own part of a page."""
    client, longest = asked.client, asked.client.delegation_lifetime
    return {
        "client": client,
        "person": asked.sign_in.user,
        "scopes": descriptions(asked.scope),
        "servers": [client.servers[name] for name in asked.audience],
        "limits": asked.constraints.describe(),
        "expires_at": None if longest is None else timezone.now() + longest,
        "lifetimes": lifetimes(client),
    }
