"""The actor of a command."""

from __future__ import annotations

import getpass
import re
import secrets

from delegation_app.services.audit import RequestContext

_PLAIN = re.compile(r"[^A-Za-z0-9_-]")


def context() -> RequestContext:
    """Return the context of a command.

    The actor is `system`. The request id, `manage.<account>.<random>`, names the account of the
    shell, and is the same for the whole call of a command.
    """
    return RequestContext(request_id=f"manage.{_account()}.{secrets.token_hex(8)}")


def _account() -> str:
    try:
        name = getpass.getuser()
    # In a container, the user id may have no entry
    except (KeyError, OSError):
        name = "unknown"
    return _PLAIN.sub("_", name)[:32]
