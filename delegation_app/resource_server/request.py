"""What a resource server reads of a request: its token, and what is done with it."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.http.request import RawPostDataException, UnreadablePostError

from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.requests.addresses import sender_of
from delegation_app.protocol.requests.bearer import token_in
from delegation_app.protocol.verified_token import Call
from delegation_app.resource_server.conf import conf

PARAMETER: Final = "access_token"
_FORM: Final = "application/x-www-form-urlencoded"


def bearer_token(request: HttpRequest) -> str | None:
    """Return the token of the Authorization header (RFC 6750 section 2.1), and of nothing else.

    Args:
        request: Django's, or that of Django REST framework.

    Returns:
        The token; None if the header has none. One in the query or in a form is not looked at
        (RFC 9700 section 4.3.2).

    Raises:
        InvalidRequest: the header is malformed, or a token stands elsewhere too.
        InvalidToken: what the header has for a token can be none.
    """
    text = token_in(request.META.get("HTTP_AUTHORIZATION", ""))
    # RFC 6750 section 2: not more than one method in a request
    if text is not None and (PARAMETER in request.GET or PARAMETER in _form(request)):
        raise InvalidRequest("The token was sent in more than one way.")
    return text


def call_of(request: HttpRequest) -> Call:
    """Return what constraints on addresses, methods and paths are judged by.

    The path is percent-decoded once and never resolved. The address is that of the peer, or what a
    proxy in TRUSTED_PROXIES says of it; a request that another proxy forwarded has none.
    """
    header = getattr(settings, "SECURE_PROXY_SSL_HEADER", None) or ()
    sender = sender_of(request.META, conf.trusted_proxies, header[:1])
    return Call(ip=sender.address, method=request.method, path=request.path)


def _form(request: HttpRequest) -> QueryDict:
    media_type = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media_type != _FORM:
        return QueryDict()
    try:
        return QueryDict(request.body)
    except (UnreadablePostError, RawPostDataException) as error:
        raise InvalidRequest("The body could not be read.") from error
