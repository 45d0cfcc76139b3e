"""What a view demands of a token, in the expressions that Django REST framework makes of it.

The framework's `&`, `|` and `~` know only true and false: its answer to false has no challenge, and
`~` would make true of a request without a token. So the first requirement that is asked weighs the
view's whole expression, and refuses by itself if that does not hold. Nothing has to be set or
inherited for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from rest_framework.permissions import AND, NOT, OR, BasePermission, SingleOperandHolder
from rest_framework.request import Request

from delegation_app.protocol import errors
from delegation_app.protocol.scope import Scope
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
