"""The errors of both APIs, each with its code and status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rest_framework import exceptions

from delegation_app.protocol.errors import InvalidRequest, OAuthError
from delegation_app.views.endpoint import Refusals

# The framework's messages are translated, and some quote the request
_WRONG: Final[Mapping[str, str]] = {
    "required": "is missing",
    "null": "must not be null",
    "blank": "must not be empty",
    "empty": "must not be empty",
    "max_length": "is too long",
    "invalid_choice": "is none of the choices",
    "max_value": "is too large",
    "min_value": "is too small",
    "not_a_list": "must be a list",
}


class NotSignedIn(OAuthError):
    """No user is signed in."""

    code = "not_signed_in"
    status = 401


class CsrfFailed(OAuthError):
    """The CSRF token is missing, wrong or old, or the request came from another site."""

    code = "csrf_failed"
    status = 403


class MethodNotAllowed(OAuthError):
    """The endpoint does not support this method."""

    code = "method_not_allowed"
    status = 405


class PreviewNeeded(OAuthError):
    """The request requires a recent preview by the same user."""

    code = "preview_required"
    status = 409


class UnsupportedMediaType(OAuthError):
    """The body is not JSON."""

    code = "unsupported_media_type"
    status = 415


def _first_wrong(codes: Any, place: str = "") -> str:
    if isinstance(codes, Mapping):
        name, inner = next(iter(codes.items()))
        further = "" if name == "non_field_errors" else str(name)
        return _first_wrong(inner, ".".join(filter(None, (place, further))))
    if isinstance(codes, list):
        return _first_wrong(next(filter(None, codes), "invalid"), place)
    return f"{place or 'The request'} {_WRONG.get(str(codes), 'is not valid')}."


REFUSALS: Final[Refusals] = {
    exceptions.NotAuthenticated: lambda _: NotSignedIn("Sign in first."),
    exceptions.AuthenticationFailed: lambda _: NotSignedIn("Sign in first."),
    exceptions.MethodNotAllowed: lambda _: MethodNotAllowed(
        "This address does not take that method."
    ),
    exceptions.ValidationError: lambda error: InvalidRequest(_first_wrong(error.get_codes())),
}
