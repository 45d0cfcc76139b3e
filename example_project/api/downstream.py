"""Passing authority on: a service asks the next one in the name of whoever asked it.

A server that takes one request at a time would wait for itself here until the time is up; the
development server takes as many as come.
"""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import requests
from rest_framework.request import Request

from delegation_app.client import Client, ClientError, NoAnswer, Refused
from delegation_app.protocol.scope import Scope
from delegation_app.resource_server.exceptions import ExchangeRefused, OnwardError
from delegation_app.resource_server.on_behalf import on_behalf_of
from example_project.api.errors import FailedFurtherOn, FurtherOn, RefusedFurtherOn
from example_project.api.services import Service

logger = logging.getLogger(__name__)

# Who a service is to the authorization server, where its settings do not say it
ClientOf = Callable[[Service], Client]

EXCHANGE: Final = "exchange"
CALL: Final = "call"
_LONGEST: Final = 200
_LONG_WORD = re.compile(r"[\w.~+/=-]{32,}")
_REASON: Final = ("error", "error_description")
_TOLD: Final = ("error_description", "hop", "step", "status", "reason")
# With these the authority does not reach that far; any other fault is that of the asked service.
_REFUSALS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_PASSED_ON: Final[dict[object, type[FurtherOn]]] = {
    kind.default_code: kind for kind in (RefusedFurtherOn, FailedFurtherOn)
}


class NoCredentials(Exception):
    """A service does not know its own secret."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One service that asks another one, in two steps: an exchange, and the call."""

    asking: Service
    asked: Service

    def body(self, step: str, reason: dict[str, Any], status: int | None = None) -> dict[str, Any]:
        """Return what is said of a step that did not work; the status only if there was one."""
        return {
            "error_description": f"{self.asking.key} could not ask {self.asked.key}.",
            "hop": f"{self.asking.key} -> {self.asked.key}",
            "step": step,
            **({} if status is None else {"status": int(status)}),
            "reason": reason,
        }

    def failed(self, step: str, error: str, description: str) -> FailedFurtherOn:
        """Return the error for a step without an answer."""
        logger.warning("%s of %s for %s: %s", step, self.asking.key, self.asked.key, error)
        reason = {"error": error, "error_description": description}
        return FailedFurtherOn(self.body(step, reason))


def report_of_next(
    service: Service, request: Request, scope: Scope, client_of: ClientOf | None = None
) -> dict[str, Any] | None:
    """Return the report of the next service, or None if this one is the last.

    Args:
        service: the service that asks.
        request: the one that it was asked with.
        scope: what is needed there. No more than that is handed on.
        client_of: returns its client at the authorization server; None is that of the settings.

    Raises:
        RefusedFurtherOn: the exchange or the call was refused, here or further on.
        FailedFurtherOn: there was no answer that makes sense.
    """
    if service.next is None:
        return None
    hop = Hop(service, service.next)
    try:
        with on_behalf_of(
            request,
            hop.asked.audience,
            scope,
            origins=[hop.asked.site],
            client=None if client_of is None else client_of(service),
            total_seconds=service.patience,
        ) as session:
            return _told_by(hop, session.get(hop.asked.report))
    except NoCredentials as error:
        raise hop.failed(EXCHANGE, "no_credentials", str(error)) from error
    except OnwardError as error:
        raise _without_token(hop, error) from error
    except requests.RequestException as error:
        raise hop.failed(CALL, "no_answer", "There was no answer in time.") from error


def _without_token(hop: Hop, error: OnwardError) -> FurtherOn:
    match error.__cause__:
        case Refused(code=code, description=description, status=status):
            told = {"error": code, "error_description": description}
            reason = {name: text for name, text in told.items() if text}
            kind = RefusedFurtherOn if isinstance(error, ExchangeRefused) else FailedFurtherOn
            return kind(hop.body(EXCHANGE, reason, status))
        case NoAnswer():
            return hop.failed(EXCHANGE, "no_answer", "There was no answer in time.")
        case ClientError():
            return hop.failed(EXCHANGE, "no_sense", "The answer has no token.")
    raise error


def _told_by(hop: Hop, answer: requests.Response) -> dict[str, Any]:
    members = _members(answer)
    if answer.status_code != HTTPStatus.OK:
        raise _why(hop, answer.status_code, members or {})
    if members is None:
        raise hop.failed(CALL, "no_sense", "The answer is no JSON object.")
    return members


def _members(answer: requests.Response) -> dict[str, Any] | None:
    try:
        members = answer.json()
    except ValueError:
        return None
    return members if isinstance(members, dict) else None


def _why(hop: Hop, status: int, told: dict[str, Any]) -> FurtherOn:
    # The hop that went wrong is what helps; those before it only pass that on.
    further = _PASSED_ON.get(told.get("error"))
    if further is not None:
        return further(_harmless(told, _TOLD))
    body = hop.body(CALL, _harmless(told, _REASON), status)
    return RefusedFurtherOn(body) if status in _REFUSALS else FailedFurtherOn(body)


def _harmless(told: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """Return what somebody else said, as far as it is known, short, and can't be a token."""
    harmless: dict[str, Any] = {}
    for name in known:
        value = told.get(name)
        if isinstance(value, str):
            harmless[name] = _LONG_WORD.sub("…", value)[:_LONGEST]
        elif isinstance(value, int):
            harmless[name] = value
        elif isinstance(value, dict) and name == "reason":
            harmless[name] = _harmless(value, _REASON)
    return harmless
