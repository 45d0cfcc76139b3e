"""The token of a request, and the values that its constraints are checked against."""

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
    """Return the token of the Authorization header (RFC 6750 section 2.1), or None.

    A token in the query or in a form is ignored (RFC 9700 section 4.3.2).

    Args:
        request: of Django or of Django REST framework.

    Raises:
        InvalidRequest: the header is malformed, or there is a second token elsewhere.
        InvalidToken: the token is malformed.
    """
    text = token_in(request.META.get("HTTP_AUTHORIZATION", ""))
    # RFC 6750 section 2: not more than one method in a request
    if text is not None and (PARAMETER in request.GET or PARAMETER in _form(request)):
        raise InvalidRequest("Send the token in the Authorization header only.")
    return text


def call_of(request: HttpRequest) -> Call:
    """Return the values for constraints on addresses, methods and paths.

    The path is percent-decoded once and never resolved. The address is that of the peer, or the one
    from a proxy in TRUSTED_PROXIES; a request from another proxy has none.
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
        raise InvalidRequest("The body cannot be read.") from error
