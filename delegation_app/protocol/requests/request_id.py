"""The id under which log, audit and answer know a request."""

from __future__ import annotations

import uuid
from collections.abc import MutableMapping
from typing import Any, Final

HEADER: Final = "X-Request-Id"
# No header of a request becomes a key like this one
_KEY: Final = "delegation.request_id"


def request_id(environ: MutableMapping[str, Any]) -> str:
    """Return the id of the request that has this environ (PEP 3333), the same each time."""
    if _KEY not in environ:
        environ[_KEY] = uuid.uuid4().hex
    return str(environ[_KEY])
