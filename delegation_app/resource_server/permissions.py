"""Permission classes for tokens: their scope, their actor and their audience.

permission_classes = [RequireScopes("read:metrics")]
permission_classes = [RequireScopes(GET="read:metrics", POST="write:alerts")]
permission_classes = [RequireScopes("read:metrics") & ~RequireActor()]
permission_classes = [RequireActor("service_a") | RequireScopes("admin")]
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ImproperlyConfigured
from rest_framework.permissions import AND, NOT, OR, BasePermission, SingleOperandHolder
from rest_framework.request import Request

from delegation_app.protocol import errors
from delegation_app.protocol.errors import InvalidScope
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.verified_token import VerifiedToken
from delegation_app.resource_server.challenge import Challenge, Challenger
from delegation_app.resource_server.exceptions import InsufficientScope, refusal

if TYPE_CHECKING:
    # A circular import at run time: the framework's settings name classes of this package
    from rest_framework.views import APIView

__all__ = ["RequireActor", "RequireAudience", "RequireScopes"]

_EVALUATED: Final = "_delegation_evaluated"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})


@dataclass(frozen=True, slots=True)
class RequirementContext:
    """A request to a view, with its token or None."""

    request: Request
    view: APIView
    token: VerifiedToken | None = None

    @property
    def provided(self) -> Scope:
        """The scope of the token."""
        return Scope() if self.token is None else self.token.scope


@dataclass(frozen=True, slots=True)
class RequirementResult:
    """The result of an expression or a part of it.

    Attributes:
        holds: whether the request satisfies it.
        required: the scope that would satisfy it.
        reason: why no scope would; empty if one would, or if another permission gives the reason.
    """

    holds: bool
    required: Scope = Scope()
    reason: str = ""

    def also(self, other: RequirementResult) -> RequirementResult:
        """Return the result of both together."""
        reason = self.reason or other.reason
        return RequirementResult(self.holds and other.holds, self.required | other.required, reason)

    def distance(self, provided: Scope) -> tuple[bool, bool, int]:
        """Return the sort key among alternatives; a refusal names the nearest one."""
        missing = len(self.required - provided)
        return bool(self.reason), missing == 0, missing


class Requirement(SingleOperandHolder, BasePermission):
    """A requirement for the token of a request, for `permission_classes`.

    An immutable instance stands where the framework expects a permission class, and returns itself
    when called. Requirements combine with `&`, `|` and `~`.
    """

    denied_message = "This token may not do that."
    """The reason if `~` refuses a token that satisfies the requirement."""

    def __init__(self) -> None:
        # Not the framework's, which takes the operands of an expression
        pass

    def __call__(self, *_args: Any, **_kwargs: Any) -> Requirement:
        """Return this instance, where the framework instantiates a class."""
        return self

    def evaluate(self, context: RequirementContext) -> RequirementResult:
        """Return whether the token satisfies the requirement, and the required scope."""
        raise NotImplementedError

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether a request satisfies the requirement.

        Raises:
            NotAuthenticated: there is no token, and the view's permissions require one;
                `PermissionDenied` if another scheme authenticated the request.
            InsufficientScope: the view's permissions refuse, for lack of scope.
            LimitsExceeded: they refuse for another reason.
        """
        token = request.auth if isinstance(request.auth, VerifiedToken) else None
        context = RequirementContext(request, view, token)
        # Once per request, also if a permission of the site calls a requirement meanwhile
        if not hasattr(request, _EVALUATED):
            setattr(request, _EVALUATED, True)
            _require(context)
        return token is not None and self.evaluate(context).holds

    def has_object_permission(self, request: Request, view: APIView, _obj: Any) -> bool:
        """Return the same as `has_permission`, so that `~` means the same for objects."""
        return self.has_permission(request, view)


def required_scope(view: APIView | None, request: Request) -> Scope:
    """Return the scope that a view requires of a request without a token."""
    if view is None:
        return Scope()
    return _evaluate_all(RequirementContext(request, view), reached=False).required


def _challenge_of(request: Request) -> Challenge:
    sources: Iterable[Any] = (request.successful_authenticator, *(request.authenticators or ()))
    for source in sources:
        if isinstance(source, Challenger):
            return source.challenge()
    return Challenge("api")


def _require(context: RequirementContext) -> None:
    result = _evaluate_all(context, reached=True)
    if result.holds:
        return
    if context.token is None:
        context.view.permission_denied(context.request)
    challenge = _challenge_of(context.request)
    if not result.required <= context.provided:
        raise InsufficientScope(result.required, context.provided, challenge)
    # Without a reason, another permission of the view refuses with its own message
    if result.reason:
        raise refusal(errors.OutsideLimits(result.reason), challenge)


def _evaluate_all(context: RequirementContext, *, reached: bool) -> RequirementResult:
    parts: Iterable[Any] = context.view.get_permissions()
    ours = (_evaluate(part, context, reached=reached) for part in parts if _is_ours(part))
    return reduce(RequirementResult.also, ours, RequirementResult(holds=True))


def _is_ours(part: Any) -> bool:
    if type(part) not in {AND, OR, NOT}:
        return isinstance(part, Requirement)
    return any(map(_is_ours, vars(part).values()))


def _evaluate(part: Any, context: RequirementContext, *, reached: bool) -> RequirementResult:
    """Evaluate a part; `reached` is false where the framework's evaluation stops before it."""
    kind = type(part)
    if kind is AND:
        left = _evaluate(part.op1, context, reached=reached)
        return left.also(_evaluate(part.op2, context, reached=reached and left.holds))
    if kind is OR:
        left = _evaluate(part.op1, context, reached=reached)
        right = left if left.holds else _evaluate(part.op2, context, reached=reached)
        if right.holds:
            return right
        return min(left, right, key=lambda result: result.distance(context.provided))
    if kind is NOT:
        return _evaluate_not(part.op1, context, reached=reached)
    if isinstance(part, Requirement):
        return part.evaluate(context)
    # A permission of the site, which may rely on the permissions before it
    return RequirementResult(reached and bool(part.has_permission(context.request, context.view)))


def _evaluate_not(inner: Any, context: RequirementContext, *, reached: bool) -> RequirementResult:
    # A request without a token does not show that it lacks something
    if context.token is None and _is_ours(inner):
        return RequirementResult(holds=False)
    if not _evaluate(inner, context, reached=reached).holds:
        return RequirementResult(holds=True)
    denied = inner if isinstance(inner, Requirement) else Requirement
    return RequirementResult(holds=False, reason=denied.denied_message)


class RequireScopes(Requirement):
    """The token has all named scopes.

    Without arguments, those of the view's attribute `required_scopes`.

    Args:
        names: scopes that every request requires; a string may contain several.
        methods: further scopes of a method, such as `POST="write:alerts"`. If any method is named,
            the others are refused, except HEAD, which requires the scopes of GET, and OPTIONS.

    Raises:
        ImproperlyConfigured: a scope is malformed, or a method is unknown.
    """

    denied_message = "A token with this scope may not do that."

    def __init__(self, *names: str, **methods: str | Iterable[str]) -> None:
        super().__init__()
        if unknown := ", ".join(sorted(methods.keys() - _METHODS)):
            raise ImproperlyConfigured(f"RequireScopes: unknown methods: {unknown}.")
        self._always = _scope(names)
        self._methods = {name: _scope(scopes) for name, scopes in methods.items()}
        self._from_view = not (names or methods)

    def __repr__(self) -> str:
        return f"RequireScopes({str(self._always)!r}, {self._methods})"

    def evaluate(self, context: RequirementContext) -> RequirementResult:
        """Compare the scope of the token with the required scope."""
        required = self._required(context.request, context.view)
        if required is None:
            return RequirementResult(holds=False, reason="No token permits this method here.")
        holds = context.token is not None and required <= context.provided
        return RequirementResult(holds, required)

    def _required(self, request: Request, view: APIView) -> Scope | None:
        if self._from_view:
            return _of_view(view)
        method = request.method or ""
        if not self._methods or (method == "OPTIONS" and method not in self._methods):
            return self._always
        # HEAD reveals the same as GET
        named = self._methods.get(method, self._methods.get("GET") if method == "HEAD" else None)
        return None if named is None else self._always | named


class RequireActor(Requirement):
    """A service acts on behalf of the subject, and it is one of the named services, if any.

    Only the current actor counts (RFC 8693 section 4.1). `~RequireActor()` refuses all actors, and
    accepts only the client that holds the delegation itself.

    Args:
        client_ids: the client ids of the accepted actors; none for any.
    """

    denied_message = "This may not be done on behalf of another party."

    def __init__(self, *client_ids: str) -> None:
        super().__init__()
        self._client_ids = frozenset(client_ids)

    def __repr__(self) -> str:
        return f"RequireActor({', '.join(map(repr, sorted(self._client_ids)))})"

    def evaluate(self, context: RequirementContext) -> RequirementResult:
        """Check the current actor."""
        token = context.token
        if token is None:
            return RequirementResult(holds=False)
        if token.actor is None:
            reason = "Only a service that acts on behalf of a user may do this."
            return RequirementResult(holds=False, reason=reason)
        if self._client_ids and token.actor.get("client_id") not in self._client_ids:
            return RequirementResult(holds=False, reason="This actor may not do that.")
        return RequirementResult(holds=True)


class RequireAudience(Requirement):
    """The token is for one of the named resource servers.

    A verifier already requires its own audience; this is for a view with several verifiers, or for
    actions that require a token for a further audience.

    Args:
        identifiers: the identifiers of resource servers.

    Raises:
        ImproperlyConfigured: there is none.
    """

    denied_message = "A token for this audience may not do that."

    def __init__(self, *identifiers: str) -> None:
        super().__init__()
        if not identifiers:
            raise ImproperlyConfigured("RequireAudience: name an audience.")
        self._identifiers = identifiers

    def __repr__(self) -> str:
        return f"RequireAudience({', '.join(map(repr, self._identifiers))})"

    def evaluate(self, context: RequirementContext) -> RequirementResult:
        """Check the audience of the token."""
        token = context.token
        if token is None:
            return RequirementResult(holds=False)
        if any(identifier in token.audience for identifier in self._identifiers):
            return RequirementResult(holds=True)
        return RequirementResult(holds=False, reason="The token is for another audience.")


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
        raise ImproperlyConfigured(f"{text!r} is not a scope.") from error
