"""Who may in: a browser's session, with Django's check against requests from other sites."""

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
    """The session of a user who signed in. An Authorization header is not looked at."""

    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        if found is None:
            # Else a site's UNAUTHENTICATED_USER would stand in the place of one
            raise NotSignedIn("Sign in first.")
        return found

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE

    def enforce_csrf(self, request: Request) -> None:
        """Refuse what another site may have sent.

        Raises:
            CsrfFailed: no token, a wrong one, or another origin.
        """
        # Django's own: some versions of the framework's parse the body to look for a field
        sent: Any = request._request  # noqa: SLF001 - there is no other way to it
        try:
            super().enforce_csrf(sent)
        except exceptions.PermissionDenied as error:
            raise CsrfFailed(
                "The CSRF check failed. Send the cookie's value as X-CSRFToken, from this site.",
                detail=str(error.detail),
            ) from error


class HasDelegationPermission(BasePermission):
    """Staff that may look at delegations; for deeds, that may do this deed as well.

    A view says in `needs` which deed its methods do.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Tell whether whoever is signed in may do this; nobody being signed in is told apart."""
        user: Any = request.user
        if not user.is_authenticated or not user.is_staff or not user.has_perm(_VIEW):
            return False
        deed = getattr(view, "needs", "")
        return not deed or user.has_perm(f"delegation_app.{deed}_delegation")


SIGNED_IN: Final = (IsAuthenticated,)
