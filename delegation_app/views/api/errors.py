"""How both interfaces refuse: the two members of every refusal here, and a fitting status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.http import Http404, HttpRequest
from rest_framework import exceptions

from delegation_app import http
from delegation_app.protocol.errors import InvalidRequest, OAuthError, TooManyAttempts
from delegation_app.protocol.secrets import masked

# Sentences of our own: the framework's are translated, and some quote what was sent
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


class NotPermitted(OAuthError):
    """Whoever is signed in may not do this."""

    code = "access_denied"
    status = 403


class NotFound(OAuthError):
    """It does not exist, or belongs to another user."""

    code = "not_found"
    status = 404


class MethodNotAllowed(OAuthError):
    """Not with this method."""

    code = "method_not_allowed"
    status = 405


class PreviewNeeded(OAuthError):
    """What would end has to be looked at first, by the same person and not long ago."""

    code = "preview_required"
    status = 409


class UnsupportedMediaType(OAuthError):
    """The body is no JSON."""

    code = "unsupported_media_type"
    status = 415


def as_error(error: Exception, request: HttpRequest) -> OAuthError:
    """Return the refusal for whatever was raised, and log what the caller is not told."""
    known: Exception = error
    if isinstance(error, exceptions.APIException):
        known = _of_framework(error)
    elif isinstance(error, Http404):
        known = NotFound("There is no such address.")
    return http.as_oauth_error(known, request)


def _of_framework(error: exceptions.APIException) -> Exception:
    match error:
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return NotSignedIn("Sign in first.")
        case exceptions.PermissionDenied():
            return NotPermitted("You may not do this.")
        case exceptions.MethodNotAllowed():
            return MethodNotAllowed("This address does not take that method.")
        case exceptions.Throttled():
            wait = max(1, int(getattr(error, "wait", None) or 1))
            return TooManyAttempts("Too many requests. Wait a while.", retry_after=wait)
        case exceptions.ValidationError():
            return InvalidRequest(_first_wrong(error.get_codes()))
        case _:
            # A class of the site's own, such as of a throttle
            return (
                error
                if error.status_code >= exceptions.APIException.status_code
                else (
                    InvalidRequest(
                        "The request was refused.", detail=masked(str(error.detail))[:200]
                    )
                )
            )


def _first_wrong(codes: Any, place: str = "") -> str:
    """Return a sentence about the first thing that is wrong."""
    if isinstance(codes, Mapping):
        name, inner = next(iter(codes.items()))
        further = "" if name == "non_field_errors" else str(name)
        return _first_wrong(inner, ".".join(filter(None, (place, further))))
    if isinstance(codes, list):
        return _first_wrong(next(filter(None, codes), "invalid"), place)
    return f"{place or 'The request'} {_WRONG.get(str(codes), 'is not valid')}."
