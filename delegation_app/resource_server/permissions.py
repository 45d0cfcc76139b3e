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

if TYPE_CHECKING:
    # At run time it would be a circle: the framework's settings name classes of ours
    from rest_framework.views import APIView


from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from rest_framework.permissions import AND, NOT, OR, BasePermission, SingleOperandHolder

from delegation_app.protocol import errors
from delegation_app.protocol.verified_token import VerifiedToken
from delegation_app.resource_server.challenge import Challenge, Challenger
from delegation_app.resource_server.exceptions import InsufficientScope, refusal

if TYPE_CHECKING:
    # At run time it would be a circle: the framework's settings name classes of ours
    from rest_framework.views import APIView


_WEIGHED: Final = "_delegation_weighed"


@dataclass(frozen=True, slots=True)
class RequirementContext:
    """Whether a view lets a request in, with a token or without one."""

    request: Request
    view: APIView
    token: VerifiedToken | None = None

    @property
    def provided(self) -> Scope:
        """The scope of the token."""
        return Scope() if self.token is None else self.token.scope


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an expression, or a part of it, says to a question.

    Attributes:
        holds: whether it is content.
        needed: the scope that it takes to make it so.
        reason: what no scope would help against; empty if there is nothing of that kind, or if it
            is for somebody else's permission to say.
    """

    holds: bool
    needed: Scope = Scope()
    reason: str = ""

    def also(self, other: Verdict) -> Verdict:
        """Return the verdict of both together."""
        reason = self.reason or other.reason
        return Verdict(self.holds and other.holds, self.needed | other.needed, reason)

    def distance(self, provided: Scope) -> tuple[bool, bool, int]:
        """Return how far a token is from it: the smallest is the alternative that is told."""
        missing = len(self.needed - provided)
        return bool(self.reason), missing == 0, missing


class Requirement(SingleOperandHolder, BasePermission):
    """A demand on the token, for `permission_classes`.

    An object of it stands where the framework expects a class that makes permissions: it makes
    itself, being immutable. It joins with `&`, `|` and `~`.
    """

    contrary = "This token may not do that."
    """What is said when `~` refuses a token that does what is demanded."""

    def __init__(self) -> None:
        # Not the framework's: that one is for two parts that are put together
        pass

    def __call__(self, *_arguments: Any, **_named: Any) -> Requirement:
        """Return this requirement, where the framework expects to make a permission."""
        return self

    def weigh(self, question: RequirementContext) -> Verdict:
        """Judge the token of a request, or say what it would need without one."""
        raise NotImplementedError

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Judge a request.

        Raises:
            NotAuthenticated: there is no token, and the view's permissions as a whole do not let
                in whoever comes; `PermissionDenied` if another scheme told who that is.
            InsufficientScope: they do not hold, for lack of scope.
            OutsideLimits: they do not hold for another reason.
        """
        token = request.auth if isinstance(request.auth, VerifiedToken) else None
        question = RequirementContext(request, view, token)
        # Once in a request; and a permission of the site may ask one of ours while it is weighed
        if not hasattr(request, _WEIGHED):
            setattr(request, _WEIGHED, True)
            _require(question)
        return token is not None and self.weigh(question).holds

    def has_object_permission(self, request: Request, view: APIView, _obj: Any) -> bool:
        """Judge a request for an object: like any other, so that `~` means the same there."""
        return self.has_permission(request, view)


def needed_by(view: APIView | None, request: Request) -> Scope:
    """Return the scope that a view's permissions ask for, before there is a token."""
    if view is None:
        return Scope()
    return _weigh_all(RequirementContext(request, view), asked=False).needed


def challenge_of(request: Request) -> Challenge:
    """Return what a refusal of this request says of the resource server."""
    sources: Iterable[Any] = (request.successful_authenticator, *(request.authenticators or ()))
    for source in sources:
        if isinstance(source, Challenger):
            return source.challenge()
    return Challenge("api")


def _require(question: RequirementContext) -> None:
    verdict = _weigh_all(question, asked=True)
    if verdict.holds:
        return
    if question.token is None:
        question.view.permission_denied(question.request)
    challenge = challenge_of(question.request)
    if not verdict.needed <= question.provided:
        raise InsufficientScope(verdict.needed, question.provided, challenge)
    # Without a reason it is somebody else's permission that refuses, and that says so itself
    if verdict.reason:
        raise refusal(errors.OutsideLimits(verdict.reason), challenge)


def _weigh_all(question: RequirementContext, *, asked: bool) -> Verdict:
    permissions: Iterable[Any] = question.view.get_permissions()
    ours = (_weigh(part, question, asked=asked) for part in permissions if _is_ours(part))
    return reduce(Verdict.also, ours, Verdict(holds=True))


def _is_ours(part: Any) -> bool:
    if type(part) not in {AND, OR, NOT}:
        return isinstance(part, Requirement)
    return any(map(_is_ours, vars(part).values()))


def _weigh(part: Any, question: RequirementContext, *, asked: bool) -> Verdict:
    """Weigh a part; `asked` is false where the framework would not ask it any more."""
    kind = type(part)
    if kind is AND:
        left = _weigh(part.op1, question, asked=asked)
        return left.also(_weigh(part.op2, question, asked=asked and left.holds))
    if kind is OR:
        return _either(part, question, asked=asked)
    if kind is NOT:
        return _not(part.op1, question, asked=asked)
    if isinstance(part, Requirement):
        return part.weigh(question)
    # Somebody else's permission, which may rely on what was asked before it
    return Verdict(asked and bool(part.has_permission(question.request, question.view)))


def _either(part: Any, question: RequirementContext, *, asked: bool) -> Verdict:
    left = _weigh(part.op1, question, asked=asked)
    if left.holds:
        return left
    right = _weigh(part.op2, question, asked=asked)
    if right.holds:
        return right
    return min(left, right, key=lambda verdict: verdict.distance(question.provided))


def _not(inner: Any, question: RequirementContext, *, asked: bool) -> Verdict:
    # Whoever brings no token has not shown that it lacks anything
    if question.token is None and _is_ours(inner):
        return Verdict(holds=False)
    verdict = _weigh(inner, question, asked=asked)
    if not verdict.holds:
        return Verdict(holds=True)
    contrary = inner.contrary if isinstance(inner, Requirement) else Requirement.contrary
    return Verdict(holds=False, reason=contrary)


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

    contrary = "This may not be done on behalf of another party."

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
            reason = "Only a service that acts on behalf of a user may do this."
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
