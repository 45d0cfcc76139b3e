"""Bearer tokens for Django REST framework: a token becomes the user of a request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from delegation_app.protocol.errors import OAuthError
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.requests.request_id import HEADER, request_id
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.verified_token import VerifiedToken, Verifier
from delegation_app.resource_server import request as resource_server_request
from delegation_app.resource_server import runtime
from delegation_app.resource_server.challenge import Challenge, metadata_url
from delegation_app.resource_server.conf import conf
from delegation_app.resource_server.exceptions import refusal
from delegation_app.resource_server.permissions import needed_by
from delegation_app.resource_server.principal import Principal

if TYPE_CHECKING:
    # At run time it would be a circle: the framework's settings name classes of ours
    from rest_framework.views import APIView

logger = logger_for(__name__)

NOT_STORED: Final = "no-store"
_LONGEST_DETAIL: Final = 400


class BearerAuthentication(BaseAuthentication):
    """Take the token of the Authorization header (RFC 6750 section 2.1), and from nowhere else.

    As it is, it verifies with the verifier of the settings. `using` gives a class with another one.

    Attributes:
        verifier: what verifies; None is that of the settings.
        realm: what challenges call the service; None is what the settings say, or the audience.
        metadata_url: where its metadata is (RFC 9728); empty if nowhere, None is where the audience
            says.
    """

    verifier: ClassVar[Verifier | None] = None
    realm: ClassVar[str | None] = None
    metadata_url: ClassVar[str | None] = None

    @classmethod
    def using(
        cls, verifier: Verifier, *, realm: str | None = None, metadata_url: str | None = None
    ) -> type[Self]:
        """Return an authentication class for views that have a verifier of their own.

        Args:
            verifier: what verifies; all requests share it.
            realm, metadata_url: see the attributes.
        """
        members = {"verifier": verifier, "realm": realm, "metadata_url": metadata_url}
        return type(cls.__name__, (cls,), members)

    def authenticate(self, request: Request) -> tuple[Principal, VerifiedToken] | None:
        """Return the principal and the token, or None if no token was sent.

        Raises:
            InvalidRequest: the header is malformed, or a token stands elsewhere too.
            InvalidToken: it is not valid, or not for this resource server.
            OutsideLimits: it is good, but a constraint does not permit this request.
            Unavailable: nobody can tell now.

        Side effects: marks the answer as nobody's to store, and with the id of the request; a log
            line with that id for a refusal; what the verifier does.
        """
        view = _view_of(request)
        name = request_id(request.META)
        if view is not None:
            # What the framework adds to every answer of a view, whatever the handler returns
            view.headers[HEADER] = name
        _keep_out_of_caches(view)
        try:
            text = resource_server_request.bearer_token(request)
            if text is None:
                return None
            token = self.get_verifier().verify(text, resource_server_request.call_of(request))
        except OAuthError as error:
            # Strangers could fill the log of a site with it; who develops one needs to see it.
            level = logging.WARNING if settings.DEBUG else logging.INFO
            detail = error.detail[:_LONGEST_DETAIL]
            logger.log(level, "refused %s: %s (%s)", name, error, detail)
            scope = Scope() if view is None else needed_by(view, request)
            raise refusal(error, self.challenge(), scope) from error
        return Principal.of(token), token

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge for a request without a token.

        RFC 6750 section 3.1: it has no error code, since nothing was done wrong yet.
        """
        return self.challenge().header(scope=needed_by(_view_of(request), request))

    def get_verifier(self) -> Verifier:
        """Return what verifies the tokens of this class."""
        return runtime.verifier() if self.verifier is None else self.verifier

    def challenge(self) -> Challenge:
        """Return what every refusal says."""
        if self.verifier is None:
            realm, metadata = conf.realm or conf.audience, conf.metadata_url
        else:
            realm = self.verifier.audience
            metadata = metadata_url(realm)
        if self.metadata_url is not None:
            metadata = self.metadata_url
        return Challenge(realm if self.realm is None else self.realm, metadata)


def _view_of(request: Any) -> APIView | None:
    # Django REST framework's requests know their view; Django's know nothing of the kind
    view: APIView | None = getattr(request, "parser_context", {}).get("view")
    return view


def _keep_out_of_caches(view: APIView | None) -> None:
    """Keep answers out of caches (RFC 6750 section 5.3), unless the view has a `cache_control`."""
    value = getattr(view, "cache_control", NOT_STORED)
    if view is not None and value:
        view.headers["Cache-Control"] = value
