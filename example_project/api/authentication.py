"""Who acts, for whom: a bearer token becomes the user of a request."""

import logging
from dataclasses import dataclass
from typing import ClassVar, Final

from django.db import DatabaseError, InterfaceError
from django.http import QueryDict
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from delegation_app.protocol import errors as protocol_errors
from delegation_app.services.local_verifier import Call, VerifiedToken, verify
from delegation_app.views.http import address_of
from example_project.api import errors
from example_project.api.services import Service

logger = logging.getLogger(__name__)

FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Principal:
    """The user of an API request, made from the token alone: no row, no session.

    Attributes:
        subject: whose authority it is, `user:<id>` or `client:<client_id>`.
        client_id: the client that acts.
        delegation_id: the record that says so.
    """

    subject: str
    client_id: str
    delegation_id: str

    is_authenticated: ClassVar[bool] = True
    is_anonymous: ClassVar[bool] = False


class BearerAuthentication(BaseAuthentication):
    """Take the token of the Authorization header (RFC 6750 section 2.1), and from nowhere else.

    Args:
        service: the service that is asked.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def authenticate(self, request: Request) -> tuple[Principal, VerifiedToken] | None:
        """Return the principal and the token, or None if no token was sent.

        Raises:
            InvalidRequest: the header is malformed, or the token stands elsewhere too.
            InvalidToken: it is not valid, or not for this service.
            OutsideLimits: it is good, but not for this request.
            Unavailable: the database does not answer.
        """
        text = bearer_token(request)
        if text is None:
            return None
        try:
            token = verify(text, self._service.audience, _call(request))
        except protocol_errors.InvalidToken as error:
            raise errors.InvalidToken(error.description) from error
        except protocol_errors.OutsideLimits as error:
            raise errors.OutsideLimits(error.description) from error
        except (DatabaseError, InterfaceError) as error:
            logger.exception("a token could not be verified")
            raise errors.Unavailable from error
        return Principal(token.subject, token.client_id, token.delegation_id), token

    def authenticate_header(self, _request: Request) -> str:
        """Return the challenge for a request without a token: it did nothing wrong yet."""
        return errors.challenge(self._service.realm)


def bearer_token(request: Request) -> str | None:
    """Return the token of the Authorization header, or None if it has none.

    Raises:
        InvalidRequest: the header is malformed, or the token stands elsewhere too.
    """
    # RFC 9110 section 11.1: the name of a scheme has no case
    header = str(request.META.get("HTTP_AUTHORIZATION", "")).strip()
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    # RFC 6750 section 2: not more than one method in a request
    if "access_token" in request.query_params or "access_token" in _form(request):
        raise errors.InvalidRequest("The token was sent in more than one way.")
    if len(token.split()) != 1:
        raise errors.InvalidRequest("The Authorization header must be: Bearer, a space, a token.")
    return token.strip()


def _call(request: Request) -> Call:
    # What constraints on addresses, methods and paths are judged by
    return Call(ip=address_of(request), method=request.method, path=request.path)


def _form(request: Request) -> QueryDict:
    is_form = request.content_type.lower().startswith(FORM)
    return QueryDict(request.body if is_form else b"")
