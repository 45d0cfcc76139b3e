"""Reading requests and writing responses, the same for every endpoint."""

from __future__ import annotations

import re
from typing import Final

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import DatabaseError, DataError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError

from delegation_app.conf import conf
from delegation_app.protocol.errors import (
    InvalidRequest,
    OAuthError,
    ServerError,
    TemporarilyUnavailable,
)
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.requests.addresses import Sender, sender_of
from delegation_app.protocol.requests.parameters import MAX_LENGTH, Parameters
from delegation_app.protocol.requests.request_id import request_id
from delegation_app.protocol.secrets import masked
from delegation_app.services.audit import RequestContext
from delegation_app.services.database_errors import is_permanent

logger = logger_for("delegation_app")

FORM: Final = "application/x-www-form-urlencoded"
DATABASE_ERRORS: Final = (DatabaseError, InterfaceError)
# Django's errors for a request that it cannot read or refuses
UNREADABLE: Final = (
    SuspiciousOperation,
    BadRequest,
    MultiPartParserError,
    RawPostDataException,
    UnreadablePostError,
)

# Servers join repeated headers into one, so their own limit for a line bounds none of these
LONGEST_HEADER: Final = 2048
# Headers that Django or this app parses item by item
_PARSED_HEADERS: Final = (
    "ACCEPT",
    "ACCEPT_ENCODING",
    "IF_MATCH",
    "IF_MODIFIED_SINCE",
    "IF_NONE_MATCH",
    "IF_UNMODIFIED_SINCE",
)

_UTF_8: Final = frozenset({"utf-8", "utf8"})
_LIKE_ASCII: Final = frozenset(
    {"us-ascii", "ascii", "iso-8859-1", "iso8859-1", "latin-1", "latin1", "windows-1252"}
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_HEX_ID = re.compile(r"[0-9a-f]{32}")


class HeaderTooLong(InvalidRequest):
    """A header is longer than this server parses (RFC 6585 section 5)."""

    status = 431


def refuse_long_headers(request: HttpRequest) -> None:
    """Refuse a request before a long header costs time in a parser.

    The header is not ignored: a request without its If-Match, for example, means something else.

    Raises:
        HeaderTooLong: a header that is parsed item by item has more than LONGEST_HEADER characters.
    """
    for name in _PARSED_HEADERS:
        if len(request.META.get(f"HTTP_{name}", "")) > LONGEST_HEADER:
            shown = name.replace("_", "-").title()
            raise HeaderTooLong(f"The header {shown} is longer than {LONGEST_HEADER} characters.")


def read_query(request: HttpRequest) -> Parameters:
    """Return the parameters of the query string.

    Raises:
        InvalidRequest: it is too long, not UTF-8, or has a NUL.
    """
    return Parameters.parse(request.META.get("QUERY_STRING", ""))


def read_form(request: HttpRequest) -> Parameters:
    """Return the parameters of a form body.

    Raises:
        InvalidRequest: another content type, too long, not UTF-8, with a NUL, or cut off.
    """
    # RFC 6749 appendix B: form-encoded UTF-8, nothing else
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    if request.content_type != FORM or charset not in _UTF_8 | _LIKE_ASCII:
        raise InvalidRequest(f"The body must be {FORM} in UTF-8.")
    parameters = Parameters.parse(read_body(request))
    # These charsets equal UTF-8 for an ASCII form, and differ for every other form
    if charset in _LIKE_ASCII and not parameters.is_ascii:
        raise InvalidRequest("The body must be in UTF-8 where it is not ASCII.")
    return parameters


def read_body(request: HttpRequest) -> bytes:
    """Return the body.

    Raises:
        InvalidRequest: too long, or cut off.
    """
    length = _content_length(request)
    try:
        body = request.body
    except (UnreadablePostError, RawPostDataException) as error:
        raise InvalidRequest("The body could not be read.") from error
    # RFC 9112 section 8: a truncated body is incomplete, even if it parses
    if len(body) < length:
        raise InvalidRequest("The body is shorter than its Content-Length.")
    # Without a Content-Length
    if len(body) > MAX_LENGTH:
        raise InvalidRequest(f"The request is longer than {MAX_LENGTH} bytes.")
    return body


def _content_length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    # RFC 9110 section 8.6: digits. Not every server in front of Django checks this
    if not (text.isascii() and text.isdecimal()):
        raise InvalidRequest("The Content-Length is not a number.")
    if len(text) > len(str(MAX_LENGTH)) or int(text) > MAX_LENGTH:
        raise InvalidRequest(f"The request is longer than {MAX_LENGTH} bytes.")
    return int(text)


def require_https(request: HttpRequest) -> None:
    """Refuse plain http (RFC 6749 section 3.1), unless the issuer itself is http.

    Raises:
        InvalidRequest: the request did not come over TLS, as far as Django knows.
    """
    if conf.requires_https and not request.is_secure():
        raise InvalidRequest(
            "Use https.", detail="not secure; SECURE_PROXY_SSL_HEADER may be missing"
        )


def context_of(request: HttpRequest, actor: str = "") -> RequestContext:
    """Return the origin of a request for the audit trail; see `sender_of`."""
    sender = _sender_of(request)
    return RequestContext(
        actor=actor,
        ip=sender.address,
        via=sender.via,
        user_agent=request.META.get("HTTP_USER_AGENT", ""),
        request_id=request_id_of(request),
    )


def address_of(request: HttpRequest) -> str | None:
    """Return the address from which a request was sent, or None if it is unknown.

    X-Forwarded-For is trusted only from the proxies in TRUSTED_PROXIES; a request that another
    proxy forwarded has no address.
    """
    return _sender_of(request).address


def _sender_of(request: HttpRequest) -> Sender:
    header = getattr(settings, "SECURE_PROXY_SSL_HEADER", None) or ()
    return sender_of(request.META, conf.trusted_proxies, header[:1])


def request_id_of(request: HttpRequest) -> str:
    """Return the id of this request in the log, the audit trail and the response.

    It comes from this server. A caller could send the id of another request, and *Why was it
    refused?* would explain that one.
    """
    return request_id(request.META)


def _name_for_log(request: HttpRequest) -> str:
    # The X-Request-Id of the caller is added, so that both logs can be compared
    sent = request.META.get("HTTP_X_REQUEST_ID", "")
    ours = request_id_of(request)
    if not _REQUEST_ID.fullmatch(sent):
        return ours
    # Proxies write a UUID, or its digits alone; anything else may be a secret in the wrong header
    return f"{ours} (X-Request-Id {sent if _HEX_ID.fullmatch(sent) else masked(sent)})"


def as_oauth_error(error: Exception, request: HttpRequest) -> OAuthError:
    """Return the protocol error for any exception, and log the details withheld from the caller."""
    name = _name_for_log(request)
    if isinstance(error, OAuthError):
        logger.info("refused %s: %s (%.255s)", name, masked(str(error)), masked(error.detail))
        return error
    if isinstance(error, UNREADABLE):
        logger.info("unreadable %s: %.255s", name, masked(str(error)))
        return InvalidRequest("The request could not be read.", detail=type(error).__name__)
    if isinstance(error, DataError):
        # Such as a session cookie with a NUL, which PostgreSQL refuses; waiting would not help
        logger.error("database refused a value %s", name, exc_info=error)
        return InvalidRequest("The request has a value that cannot be stored.")
    if isinstance(error, DATABASE_ERRORS) and not is_permanent(error):
        logger.error("database failed %s", name, exc_info=error)
        return TemporarilyUnavailable("Try again in a moment.")
    logger.error("unexpected error %s", name, exc_info=error)
    return ServerError("Something went wrong. It was logged.")


def never_stored(response: HttpResponse) -> None:
    """Forbid every cache to store a response (RFC 6749 section 5.1)."""
    response["Cache-Control"] = "no-store"
    response["Pragma"] = "no-cache"


def with_error_headers(response: HttpResponse, error: OAuthError) -> None:
    """Add the headers that the status of an error requires."""
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
