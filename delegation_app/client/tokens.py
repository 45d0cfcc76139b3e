"""The values of a token request and of its response."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from delegation_app.protocol.audience import Audience, is_absolute_uri
from delegation_app.protocol.errors import InvalidScope
from delegation_app.protocol.scope import Scope

Names = str | Iterable[str]


@dataclass(frozen=True, slots=True)
class Target:
    """The audience and the scope of a requested token.

    Attributes:
        audience: the resource servers; empty for the server's default.
        scope: None for the server's default.
    """

    audience: Audience
    scope: Scope | None

    @classmethod
    def of(cls, audience: Names | None, scope: Names | None) -> Self:
        """Read the arguments of a caller.

        Args:
            audience: one identifier, an absolute URI, or several.
            scope: names separated by spaces, or an iterable of names.

        Raises:
            ValueError: an identifier is not an absolute URI, or a scope name is malformed.
        """
        identifiers = [audience] if isinstance(audience, str) else list(audience or ())
        # RFC 8707 section 2
        if not all(is_absolute_uri(identifier) for identifier in identifiers):
            raise ValueError("An audience is an absolute URI without a fragment.")
        if scope is not None and not isinstance(scope, str):
            scope = " ".join(scope)
        try:
            return cls(Audience(identifiers), None if scope is None else Scope.parse(scope))
        except InvalidScope as error:
            raise ValueError(error.description) from error

    def fields(self, audience_field: str) -> dict[str, str | list[str]]:
        """Return the form fields.

        Args:
            audience_field: `resource` or `audience`.
        """
        fields: dict[str, str | list[str]] = {}
        if self.audience:
            fields[audience_field] = list(self.audience)
        if self.scope:
            fields["scope"] = str(self.scope)
        return fields


@dataclass(frozen=True, slots=True)
class Tokens:
    """A response of the token endpoint. The representation hides the tokens.

    Attributes:
        access_token: the bearer token.
        scope: its scope; None if unknown.
        expires_in: seconds from the request until it expires; None if unknown.
        expires_at: the same as a time, in seconds since the epoch.
        refresh_token: the next refresh token, if any; the previous one is used up.
        issued_token_type: the token type of an exchange (RFC 8693 section 3).
    """

    access_token: str = field(repr=False)
    scope: Scope | None = None
    expires_in: float | None = None
    expires_at: float | None = None
    refresh_token: str | None = field(default=None, repr=False)
    issued_token_type: str | None = None
