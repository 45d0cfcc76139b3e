"""Authentication and permissions of both APIs: the browser's session and Django's CSRF check."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import exceptions
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from delegation_app.views.api.errors import CsrfFailed, NotSignedIn

CHALLENGE: Final = 'Session realm="delegation"'
_VIEW: Final = "delegation_app.view_delegation"


class SessionOnly(SessionAuthentication):
    """The session of a signed-in user. The Authorization header is ignored."""

    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        if found is None:
            # Otherwise the site's UNAUTHENTICATED_USER would replace the user
            raise NotSignedIn("Sign in first.")
        return found

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE

    def enforce_csrf(self, request: Request) -> None:
        """Refuse a cross-site request.

        Raises:
            CsrfFailed: the token is missing or wrong, or the origin is another one.
        """
        # Django's request: some versions of the framework parse the body to find a form field
        sent: Any = request._request  # noqa: SLF001 - the framework has no public name for it
        try:
            super().enforce_csrf(sent)
        except exceptions.PermissionDenied as error:
            raise CsrfFailed(
                "The CSRF check failed. Send the cookie's value as X-CSRFToken, from this site.",
                detail=str(error.detail),
            ) from error


class HasDelegationPermission(BasePermission):
    """Staff with the permission to view delegations, and that of the view's action.

    The attribute `needs` of a view names its action.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the user has both permissions."""
        user: Any = request.user
        if not user.is_authenticated or not user.is_staff or not user.has_perm(_VIEW):
            return False
        action = getattr(view, "needs", "")
        return not action or user.has_perm(f"delegation_app.{action}_delegation")


SIGNED_IN: Final = (IsAuthenticated,)
