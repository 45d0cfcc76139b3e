"""Seeding the demo, and what scripts and tests are told of it."""

from typing import Any

from django.conf import settings
from django.db import DatabaseError

from delegation_app.conf import conf
from example_project.demo import credentials, rows, world


class NotReady(Exception):
    """The demo can't be seeded; the text says what to do."""


def make() -> dict[str, Any]:
    """Seed the demo, and return who and what there is, with passwords and secrets.

    Raises:
        NotReady: the tables are missing, or the file of credentials is damaged.
    """
    try:
        known = credentials.load_or_make(
            settings.DEMO_CREDENTIALS, users=world.USERS, clients=world.CONFIDENTIAL
        )
        rows.bring(known)
    except credentials.Unreadable as error:
        raise NotReady(str(error)) from error
    except DatabaseError as error:
        raise NotReady(f"Run migrate first: {error}") from error
    return _described(known)


def _described(known: credentials.Credentials) -> dict[str, Any]:
    return {
        "issuer": conf.issuer,
        "users": {name: {"username": name, "password": known.users[name]} for name in world.USERS},
        "audiences": {key: service.identifier for key, service in world.SERVICES.items()},
        "clients": {
            client_id: {
                "client_id": client_id,
                "client_secret": known.clients.get(client_id),
                "redirect_uris": list(spec.redirect_uris),
                "scopes": list(spec.scopes),
                "grants": list(spec.grants),
            }
            for client_id, spec in world.CLIENTS.items()
        },
    }
