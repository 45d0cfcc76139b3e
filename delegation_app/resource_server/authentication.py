"""Bearer token authentication for Django REST framework."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.requests.request_id import HEADER, request_id
from delegation_app.protocol.verified_token import VerifiedToken, Verifier
from delegation_app.resource_server import request as resource_server_request
from delegation_app.resource_server import runtime
from delegation_app.resource_server.challenge import Challenge, metadata_url
from delegation_app.resource_server.conf import conf
from delegation_app.resource_server.exceptions import refusal
from delegation_app.resource_server.permissions import required_scope
from delegation_app.resource_server.principal import Principal

if TYPE_CHECKING:
    # A circular import at run time: the framework's settings name this module
    from rest_framework.views import APIView

logger = logger_for(__name__)

NO_STORE: Final = "no-store"
_MAX_DETAIL: Final = 400


class BearerAuthentication(BaseAuthentication):
    """Authenticates with the token of the Authorization header only (RFC 6750 section 2.1).

    It uses the verifier of the settings; `using` returns a class with another one.

    Attributes:
        verifier: None for the verifier of the settings.
        realm: the name of the service in challenges; None for the setting REALM or the audience.
        metadata_url: the URL of its metadata (RFC 9728); empty for none, None for the default.
    """

    verifier: ClassVar[Verifier | None] = None
    realm: ClassVar[str | None] = None
    metadata_url: ClassVar[str | None] = None

    @classmethod
    def using(
        cls, verifier: Verifier, *, realm: str | None = None, metadata_url: str | None = None
    ) -> type[Self]:
        """Return an authentication class with its own verifier.

        Args:
            verifier: shared by all requests.
            realm, metadata_url: see the attributes.
        """
        members = {"verifier": verifier, "realm": realm, "metadata_url": metadata_url}
        return type(cls.__name__, (cls,), members)

    def authenticate(self, request: Request) -> tuple[Principal, VerifiedToken] | None:
        """Return the principal and the token, or None without a token.

        Raises:
            MalformedRequest: the header is malformed, or there is a second token elsewhere.
            TokenRefused: the token is not valid, or not for this resource server.
            LimitsExceeded: the token is valid, but a constraint does not permit this request.
            Unavailable: the validity of the token is unknown at the moment.

        Side effects: the response headers Cache-Control and X-Request-Id; a log line for a refusal;
            those of the verifier.
        """
        view = _view_of(request)
        if view is not None:
            _set_headers(view, request)
        try:
            text = resource_server_request.bearer_token(request)
            if text is None:
                return None
            token = self.get_verifier().verify(text, resource_server_request.call_of(request))
        except OAuthError as error:
            # INFO in production, where any caller could fill the log
            level = logging.WARNING if settings.DEBUG else logging.INFO
            name, detail = request_id(request.META), error.detail[:_MAX_DETAIL]
            logger.log(level, "refused %s: %s (%s)", name, error, detail)
            raise refusal(error, self.challenge(), required_scope(view, request)) from error
        return Principal.of(token), token

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge for a request without a token.

        RFC 6750 section 3.1: without an error code.
        """
        return self.challenge().header(scope=required_scope(_view_of(request), request))

    def get_verifier(self) -> Verifier:
        """Return the verifier of this class, or that of the settings."""
        return runtime.verifier() if self.verifier is None else self.verifier

    def challenge(self) -> Challenge:
        """Return the challenge of every refusal."""
        if self.verifier is None:
            realm, metadata = conf.realm or conf.audience, conf.metadata_url
        else:
            realm = self.verifier.audience
            metadata = metadata_url(realm)
        if self.metadata_url is not None:
            metadata = self.metadata_url
        return Challenge(realm if self.realm is None else self.realm, metadata)


def _view_of(request: Any) -> APIView | None:
    # A request of Django REST framework has a view; Django's has none
    view: APIView | None = getattr(request, "parser_context", {}).get("view")
    return view


def _set_headers(view: APIView, request: Request) -> None:
    # The framework adds these to every response of the view
    view.headers[HEADER] = request_id(request.META)
    # RFC 6750 section 5.3, unless the view has its own `cache_control`
    if value := getattr(view, "cache_control", NO_STORE):
        view.headers["Cache-Control"] = value
