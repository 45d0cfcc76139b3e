"""Permission classes for tokens: what it may do, who acts, for whom it was issued.

permission_classes = [RequireScopes("read:metrics")]
permission_classes = [RequireScopes(GET="read:metrics", POST="write:alerts")]
permission_classes = [RequireScopes("read:metrics") & ~RequireActor()]
permission_classes = [RequireActor("service_a") | RequireScopes("admin")]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ImproperlyConfigured
from rest_framework.request import Request

from delegation_app.protocol.errors import InvalidScope
from delegation_app.protocol.scope import Scope
from delegation_app.resource_server.requirements import Requirement, RequirementContext, Verdict

if TYPE_CHECKING:
    # At run time it would be a circle: the framework's settings name classes of ours
    from rest_framework.views import APIView

__all__ = ["RequireActor", "RequireAudience", "RequireScopes"]

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})


class RequireScopes(Requirement):
    """The token has every scope that is named.

    Without arguments, those of the view's attribute `required_scopes`.

    Args:
        names: scopes that every request needs; a string may name several, with spaces.
        methods: what a method needs beside those, such as `POST="write:alerts"`. Once a method is
            named, one that is not is refused, except HEAD, which needs what GET needs, and OPTIONS.

    Raises:
        ImproperlyConfigured: what is named is no scope, or no method.
    """

    contrary = "A token with this scope may not do that."

    def __init__(self, *names: str, **methods: str | Iterable[str]) -> None:
        super().__init__()
        unknown = methods.keys() - _METHODS
        if unknown:
            raise ImproperlyConfigured(f"RequireScopes: no method: {', '.join(sorted(unknown))}.")
        self._always = _scope(names)
        self._methods = {name: _scope(scopes) for name, scopes in methods.items()}
        self._told_by_view = not (names or methods)

    def __repr__(self) -> str:
        return f"RequireScopes({str(self._always)!r}, {self._methods})"

    def weigh(self, question: RequirementContext) -> Verdict:
        """Compare the scope of the token with what the view needs."""
        needed = self._needed(question.request, question.view)
        if needed is None:
            return Verdict(holds=False, reason="No token permits this method here.")
        return Verdict(question.token is not None and needed <= question.provided, needed)

    def _needed(self, request: Request, view: APIView) -> Scope | None:
        if self._told_by_view:
            return _of_view(view)
        method = request.method or ""
        if not self._methods or (method == "OPTIONS" and method not in self._methods):
            return self._always
        # HEAD tells of a resource what GET tells
        named = self._methods.get(method, self._methods.get("GET") if method == "HEAD" else None)
        return None if named is None else self._always | named


class RequireActor(Requirement):
    """Somebody acts on behalf of the subject, and it is one of those named, if any are.

    Only the current actor counts (RFC 8693 section 4.1). `~RequireActor()` refuses all actors: then
    only the client that the subject let in itself may ask.

    Args:
        client_ids: the client ids of the actors that may.
    """

    contrary = "Nobody may do that on behalf of somebody else."

    def __init__(self, *client_ids: str) -> None:
        super().__init__()
        self._client_ids = frozenset(client_ids)

    def __repr__(self) -> str:
        return f"RequireActor({', '.join(map(repr, sorted(self._client_ids)))})"

    def weigh(self, question: RequirementContext) -> Verdict:
        """Look at who acts now, and at nobody who acted before."""
        token = question.token
        if token is None:
            return Verdict(holds=False)
        if token.actor is None:
            reason = "Only a service that acts on behalf of somebody may do that."
            return Verdict(holds=False, reason=reason)
        if self._client_ids and token.actor.get("client_id") not in self._client_ids:
            return Verdict(holds=False, reason="This actor may not do that.")
        return Verdict(holds=True)


class RequireAudience(Requirement):
    """The token was issued for one of these resource servers.

    Every verifier demands its own audience already; this is for a view that several verifiers
    serve, or for what only tokens of a further audience may do.

    Args:
        identifiers: the identifiers of resource servers.

    Raises:
        ImproperlyConfigured: there is none.
    """

    contrary = "A token for this audience may not do that."

    def __init__(self, *identifiers: str) -> None:
        super().__init__()
        if not identifiers:
            raise ImproperlyConfigured("RequireAudience: name an audience.")
        self._identifiers = identifiers

    def __repr__(self) -> str:
        return f"RequireAudience({', '.join(map(repr, self._identifiers))})"

    def weigh(self, question: RequirementContext) -> Verdict:
        """Look at the audience of the token."""
        token = question.token
        if token is None:
            return Verdict(holds=False)
        if any(identifier in token.audience for identifier in self._identifiers):
            return Verdict(holds=True)
        return Verdict(holds=False, reason="The token is for another audience.")


def _of_view(view: APIView) -> Scope:
    required = getattr(view, "required_scopes", None)
    if required is None:
        raise ImproperlyConfigured(f"{type(view).__name__} has no required_scopes.")
    return _scope(required)


def _scope(names: str | Iterable[str]) -> Scope:
    text = names if isinstance(names, str) else " ".join(names)
    try:
        return Scope.parse(text)
    except InvalidScope as error:
        raise ImproperlyConfigured(f"{text!r} is no scope.") from error
