"""Client authentication (RFC 6749 section 2.3) for Django REST framework."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import AnonymousUser
from django.utils.functional import cached_property
from rest_framework.authentication import BaseAuthentication
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from delegation_app import http
from delegation_app.protocol.requests.client_auth import read_credentials
from delegation_app.services.audit import RequestContext
from delegation_app.services.clients.authentication import authenticate
from delegation_app.services.clients.registered_client import RegisteredClient

CHALLENGE: Final = 'Basic realm="delegation", charset="UTF-8"'


class ClientPrincipal(AnonymousUser):
    """An authenticated client as `request.user`: no row, no groups and no permissions.

    Attributes:
        client: the client, its policy and its resource servers.
        subject: `client:<client_id>`, the key of the framework's throttles.
    """

    is_authenticated: Any = True
    is_anonymous: Any = False
    pk: Any

    def __init__(self, client: RegisteredClient) -> None:
        self.client = client
        self.subject: str = client.subject
        self.pk = self.subject

    def __str__(self) -> str:
        return self.subject

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientPrincipal) and other.subject == self.subject

    def __hash__(self) -> int:
        return hash(self.subject)


class ClientAuthentication(BaseAuthentication):
    """HTTP Basic, or `client_id` and `client_secret` in the form; public clients by `client_id`."""

    def authenticate(self, request: ClientRequest) -> tuple[ClientPrincipal, str]:  # type: ignore[override]
        """Return the client and its authentication method.

        Raises:
            InvalidClient: the credentials are wrong.
            InvalidRequest: the request has two client ids or two methods.
            TooManyAttempts: too many attempts have failed.
        """
        credentials = read_credentials(request.META.get("HTTP_AUTHORIZATION"), request.data)
        request.claimed_client_id = credentials.client_id
        context, view = request.context, request.parser_context["view"]
        client = authenticate(credentials, ip=context.ip, via=context.via, relation=view.relation)
        return ClientPrincipal(client), credentials.method

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class FormParser(BaseParser):
    """Parses a form strictly into `Parameters`: UTF-8, without NUL, bounded, complete.

    The framework's parser keeps the last of two equal parameters; `ClientEndpoint` refuses them.
    """

    media_type = http.FORM

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the parameters.

        Raises:
            InvalidRequest: see `http.read_form`.
        """
        return http.read_form(stream)


class ClientRequest(Request):
    """A request of a client.

    The framework's request never gives an empty form to a parser, and replaces Django's
    `request.POST` with the result of the parser.

    Attributes:
        claimed_client_id: the unauthenticated client id, for the audit trail.
    """

    claimed_client_id = ""
    data: Any
    parsers: Any

    @cached_property
    def context(self) -> RequestContext:
        """The context of the request."""
        return http.context_of(self._request)

    def _load_data_and_files(self) -> None:
        self._data = self._full_data = self.parsers[0].parse(
            self._request, self.content_type, self.parser_context
        )
