"""The token endpoint (RFC 6749 section 3.2), and its alias for token exchange only."""

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

# The parameter whose replay each of these grants detects itself
_JUDGED_BY_GRANT: Final = {
    names.AUTHORIZATION_CODE: "code",
    names.REFRESH_TOKEN: "refresh_token",
}


class MayUseGrantType(BasePermission):
    """Permits clients whose policy has the requested grant type."""

    message = "This client may not use this grant_type."

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(view.client.may_use(view.grant.TYPE))


class TokenView(ClientEndpoint):
    """Authenticate the client, issue by the requested grant, and respond after the commit.

    Attributes:
        grants: by grant type.
    """

    operations = {"POST": token_operation("token", *REGISTRY)}
    permission_classes = (MayUseGrantType,)
    grants: ClassVar[Mapping[str, Grant]] = REGISTRY
    _unjudged: Collection[str] = replays.PARAMETERS

    def post(self, request: Request) -> Response:
        grant, client = self.grant, self.client
        # RFC 9396 section 5 and others: ignoring one would issue something else than requested
        self.parameters.refuse_unsupported(grant.PARAMETERS)
        signer = signing_keys.signer(client.signing_kid)
        self._unjudged = replays.PARAMETERS - {_JUDGED_BY_GRANT.get(grant.TYPE, "")}
        declared = self.parameters.only(grant.PARAMETERS)
        issued = grant.handle(TokenRequest(client, declared, self.context))
        return Response(issued.answer(signer))

    @property
    def grant(self) -> Grant:
        """The requested grant.

        Raises:
            InvalidRequest: grant_type is missing.
            UnsupportedGrantType: grant_type is not in `grants`.
        """
        grant = self.grants.get(self.parameters.require("grant_type"))
        if grant is None:
            raise UnsupportedGrantType("The grant_type is not supported.")
        return grant

    def authenticates_first(self) -> bool:
        # Only its own client can replay a credential, so the client is authenticated first. A
        # request without a credential is refused without a statement.
        return any(name in self.parameters for name in replays.PARAMETERS)

    def refused(self, error: OAuthError) -> OAuthError:
        # RFC 9700 section 4.14.2: a replay is detected whatever else is wrong with the request
        if self.context.actor:
            error = replays.end_replayed(
                self.parameters, self._unjudged, self.client, self.context, error
            )
        return super().refused(error)


class ExchangeView(TokenView):
    """The token endpoint for RFC 8693 only, so that gateways can treat it separately."""

    operations = {"POST": token_operation("exchange", names.TOKEN_EXCHANGE)}
    grants = {names.TOKEN_EXCHANGE: REGISTRY[names.TOKEN_EXCHANGE]}
