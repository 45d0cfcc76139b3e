"""The token endpoint (RFC 6749 section 3.2), and its alias for exchanges alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Final

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app.grants import REGISTRY, Grant, TokenRequest, replays
from delegation_app.protocol import names
from delegation_app.protocol.errors import OAuthError, UnsupportedGrantType
from delegation_app.services import signing_keys
from delegation_app.views.client_endpoint import ClientEndpoint
from delegation_app.views.oauth_serializers import token_operation

# What each of these grants judges itself: a replay is one, whatever the grant then answers
_JUDGED_BY_GRANT: Final = {
    names.AUTHORIZATION_CODE: "code",
    names.REFRESH_TOKEN: "refresh_token",
}


class MayUseGrantType(BasePermission):
    """Clients whose policy has the grant type of the request."""

    message = "This client may not use this grant_type."

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(view.client.may_use(view.grant.TYPE))


class TokenView(ClientEndpoint):
    """Authenticate the client, let its grant issue, and answer after the commit.

    Attributes:
        grants: by grant type.
    """

    operations = {"POST": token_operation("token", *REGISTRY)}
    permission_classes = (MayUseGrantType,)
    grants: ClassVar[Mapping[str, Grant]] = REGISTRY
    _unjudged: Collection[str] = replays.PARAMETERS

    def post(self, request: Request) -> Response:
        grant, client = self.grant, self.client
        # RFC 9396 section 5 and others: ignoring one would issue something else than was asked for
        self.parameters.refuse_unsupported(grant.PARAMETERS)
        signer = signing_keys.signer(client.signing_kid)
        self._unjudged = replays.PARAMETERS - {_JUDGED_BY_GRANT.get(grant.TYPE, "")}
        declared = self.parameters.only(grant.PARAMETERS)
        issued = grant.handle(TokenRequest(client, declared, self.context))
        return Response(issued.answer(signer))

    @property
    def grant(self) -> Grant:
        """The grant that the request names.

        Raises:
            InvalidRequest: it names none.
            UnsupportedGrantType: it is none of `grants`.
        """
        grant = self.grants.get(self.parameters.require("grant_type"))
        if grant is None:
            raise UnsupportedGrantType("The grant_type is not supported.")
        return grant

    def authenticates_first(self) -> bool:
        # Only its client can replay what it was given, so that is authenticated before anything
        # else is refused. What presents nothing is refused without a statement.
        return any(name in self.parameters for name in replays.PARAMETERS)

    def refused(self, error: OAuthError) -> OAuthError:
        # RFC 9700 section 4.14.2: nothing else that is wrong with a request hides a replay
        if self.context.actor:
            error = replays.end_replayed(
                self.parameters, self._unjudged, self.client, self.context, error
            )
        return super().refused(error)


class ExchangeView(TokenView):
    """The same for RFC 8693 and nothing else, so that gateways can treat it apart."""

    operations = {"POST": token_operation("exchange", names.TOKEN_EXCHANGE)}
    grants = {names.TOKEN_EXCHANGE: REGISTRY[names.TOKEN_EXCHANGE]}
