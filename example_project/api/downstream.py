"""Token exchange: a service calls the next one on behalf of its caller's user.

A server that handles one request at a time would wait for itself here; the development server
handles several.
"""

import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import requests
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from delegation_app.client import Client, ClientError, NoAnswer, Refused
from delegation_app.protocol.scope import Scope
from delegation_app.resource_server.exceptions import ExchangeRefused, OnwardError
from delegation_app.resource_server.on_behalf import on_behalf_of
from example_project.api.services import Service

logger = logging.getLogger(__name__)

# The client of a service, where its settings do not name one
ClientOf = Callable[[Service], Client]

_MAX_LENGTH: Final = 200
# Could be a token
_LONG_WORD = re.compile(r"[\w.~+/=-]{32,}")
_REASON: Final = ("error", "error_description")
_BODY: Final = ("error_description", "hop", "step", "status", "reason")


class NoCredentials(Exception):
    """A service does not know its own secret."""


class OnwardFailed(APIException):
    """Something is broken at the next service or on the way there; the caller is not at fault."""

    status_code = HTTPStatus.BAD_GATEWAY
    default_code = "onward_failed"

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__()
        # Set here, since the framework would convert each value to text
        detail: Any = {"error": self.default_code, **body}
        self.detail = detail


class OnwardRefused(OnwardFailed):
    """The authority does not extend to the next service."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "onward_refused"


def report_of_next(
    service: Service, request: Request, scope: Scope, client_of: ClientOf | None = None
) -> dict[str, Any] | None:
    """Return the report of the next service, or None if this one is the last.

    Args:
        service: the service that calls.
        request: the request that it answers.
        scope: what the next service requires; no more is delegated onward.
        client_of: returns its client; None is the client of the settings.

    Raises:
        OnwardRefused: the exchange or the call was refused, here or at a later hop.
        OnwardFailed: there was no usable answer.
    """
    if service.next is None:
        return None
    try:
        with on_behalf_of(
            request,
            service.next.audience,
            scope,
            origins=[service.next.site],
            client=None if client_of is None else client_of(service),
            total_seconds=service.patience,
        ) as session:
            return _report(service, session.get(service.next.report))
    except NoCredentials as error:
        raise _failed(service, "exchange", "no_credentials", str(error)) from error
    except OnwardError as error:
        raise _exchange_error(service, error) from error
    except requests.RequestException as error:
        raise _failed(service, "call", "no_answer", "There was no answer in time.") from error


def _body(caller: Service, step: str, reason: dict[str, Any], **status: int) -> dict[str, Any]:
    called = "" if caller.next is None else caller.next.key
    return {
        "error_description": f"{caller.key} could not call {called}.",
        "hop": f"{caller.key} -> {called}",
        "step": step,
        **status,
        "reason": reason,
    }


def _failed(caller: Service, step: str, error: str, description: str) -> OnwardFailed:
    """Return the error of a step without a usable answer."""
    body = _body(caller, step, {"error": error, "error_description": description})
    logger.warning("%s of %s: %s", step, body["hop"], error)
    return OnwardFailed(body)


def _exchange_error(caller: Service, error: OnwardError) -> OnwardFailed:
    match error.__cause__:
        case Refused(code=code, description=description, status=status):
            reason = {"error": code} | ({"error_description": description} if description else {})
            kind = OnwardRefused if isinstance(error, ExchangeRefused) else OnwardFailed
            return kind(_body(caller, "exchange", reason, status=int(status)))
        case NoAnswer():
            return _failed(caller, "exchange", "no_answer", "There was no answer in time.")
        case ClientError():
            return _failed(caller, "exchange", "unusable_answer", "The answer has no token.")
    raise error


def _report(caller: Service, answer: requests.Response) -> dict[str, Any]:
    try:
        members: Any = answer.json()
    except ValueError:
        members = None
    is_object = isinstance(members, dict)
    if answer.status_code != HTTPStatus.OK:
        raise _call_error(caller, answer.status_code, members if is_object else {})
    if not is_object:
        raise _failed(caller, "call", "unusable_answer", "The answer is not a JSON object.")
    return dict(members)


def _call_error(caller: Service, status: int, received: dict[str, Any]) -> OnwardFailed:
    # Services before the hop that failed pass its error on unchanged.
    for kind in (OnwardRefused, OnwardFailed):
        if received.get("error") == kind.default_code:
            return kind(_sanitized(received, _BODY))
    # The authority does not extend that far; any other status is a fault of the next service.
    refused = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    body = _body(caller, "call", _sanitized(received, _REASON), status=status)
    return OnwardRefused(body) if refused else OnwardFailed(body)


def _sanitized(received: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the known members of another service's error, shortened and without tokens."""
    sanitized: dict[str, Any] = {}
    for name in names:
        value = received.get(name)
        if isinstance(value, str):
            sanitized[name] = _LONG_WORD.sub("…", value)[:_MAX_LENGTH]
        elif isinstance(value, int):
            sanitized[name] = value
        elif isinstance(value, dict) and name == "reason":
            sanitized[name] = _sanitized(value, _REASON)
    return sanitized
