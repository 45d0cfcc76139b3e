"""The id of a request in the log, the audit trail and the response."""

from __future__ import annotations

import uuid
from collections.abc import MutableMapping
from typing import Any, Final

HEADER: Final = "X-Request-Id"
# No request header becomes a key with a dot
_KEY: Final = "delegation.request_id"


def request_id(environ: MutableMapping[str, Any]) -> str:
    """Return the id of the request with this environ (PEP 3333), created at the first call."""
    if _KEY not in environ:
        environ[_KEY] = uuid.uuid4().hex
    return str(environ[_KEY])
