"""What a token must allow."""

from django.core.exceptions import ImproperlyConfigured
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from delegation_app.protocol.scope import Scope
from delegation_app.services.local_verifier import VerifiedToken
from example_project.api.errors import InsufficientScope


class HasScopes(BasePermission):
    """Let a request pass if its token has every scope of the view's `required_scopes`."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Judge the token of a request; one without a token is asked for it.

        Raises:
            InsufficientScope: the token lacks a scope.
            ImproperlyConfigured: the view does not say what it needs.
        """
        required = getattr(view, "required_scopes", None)
        if not isinstance(required, Scope):
            raise ImproperlyConfigured(f"{type(view).__name__} has no required_scopes.")
        token = request.auth
        if not isinstance(token, VerifiedToken):
            return False
        if not required <= token.scope:
            raise InsufficientScope(required, token.scope)
        return True
