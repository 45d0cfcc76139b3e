"""What a token is wanted for, in one spelling."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from delegation_app.protocol.audience import Audience, is_absolute_uri
from delegation_app.protocol.errors import InvalidScope
from delegation_app.protocol.scope import Scope

Names = str | Iterable[str]


@dataclass(frozen=True, slots=True)
class Target:
    """The audience and the scope of a token.

    Attributes:
        audience: the resource servers; empty for what the authorization server thinks fit.
        scope: None for what the authorization server thinks fit.
    """

    audience: Audience
    scope: Scope | None

    @classmethod
    def of(cls, audience: Names | None, scope: Names | None) -> Self:
        """Read what callers write.

        Args:
            audience: one identifier, an absolute URI, or several.
            scope: names with spaces between them, or several.

        Raises:
            ValueError: one of them is none.
        """
        identifiers = [audience] if isinstance(audience, str) else list(audience or ())
        # RFC 8707 section 2
        if not all(is_absolute_uri(identifier) for identifier in identifiers):
            raise ValueError("An audience is an absolute URI without a fragment.")
        return cls(Audience(identifiers), None if scope is None else _scope(scope))

    def fields(self, target: str) -> dict[str, str | list[str]]:
        """Return the form fields.

        Args:
            target: the name of the field for the audience: `resource` or `audience`.
        """
        fields: dict[str, str | list[str]] = {}
        if self.audience:
            fields[target] = list(self.audience)
        if self.scope:
            fields["scope"] = str(self.scope)
        return fields


def _scope(scope: Names) -> Scope:
    try:
        return Scope.parse(scope if isinstance(scope, str) else " ".join(scope))
    except InvalidScope as error:
        raise ValueError(error.description) from error
