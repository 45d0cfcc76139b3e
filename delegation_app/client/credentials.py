"""The credentials of a client, and its authentication (RFC 6749 section 2.3)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

from delegation_app.client.http.transport import Request
from delegation_app.protocol import names

Fields = Mapping[str, str | Sequence[str]]

_METHODS: Final = frozenset({names.BASIC, names.POST})


@dataclass(frozen=True, slots=True)
class Credentials:
    """The id and the secret of a client. The representation hides the secret.

    Args:
        client_id: as registered.
        client_secret: None for a public client.
        method: `client_secret_basic` or `client_secret_post`; ignored without a secret.

    Raises:
        ValueError: no client id, an empty secret, or an unknown method.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    method: str = names.BASIC

    def __post_init__(self) -> None:
        if not self.client_id or self.client_secret == "":
            raise ValueError("A client has an id, and a secret or None.")
        if self.method not in _METHODS:
            raise ValueError("The method is client_secret_basic or client_secret_post.")

    def request(self, url: str, fields: Fields) -> Request:
        """Return the request that sends `fields` as this client."""
        # RFC 6749 section 3.2.1: a public client identifies itself
        if self.client_secret is None:
            return Request.form(url, {**fields, "client_id": self.client_id})
        if self.method == names.POST:
            own = {"client_id": self.client_id, "client_secret": self.client_secret}
            return Request.form(url, {**fields, **own})
        return Request.form(url, fields, {"Authorization": self._basic(self.client_secret)})

    def _basic(self, secret: str) -> str:
        # RFC 6749 section 2.3.1: both halves are form-encoded before they are joined
        pair = f"{quote_plus(self.client_id)}:{quote_plus(secret)}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
