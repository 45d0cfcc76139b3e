"""Passing authority on: a service asks the next one in the name of whoever asked it.

A server that takes one request at a time would wait for itself here until the time is up; the
development server takes as many as come.
"""

import logging
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin

import requests
from django.conf import settings
from django.urls import reverse

from delegation_app.protocol import names
from delegation_app.protocol.scope import Scope
from example_project.api.errors import FailedFurtherOn, FurtherOn, RefusedFurtherOn
from example_project.api.services import Service
from example_project.demo import credentials
from example_project.outbound import new_session

logger = logging.getLogger(__name__)

EXCHANGE: Final = "exchange"
CALL: Final = "call"
# Generous, for a slow password hash on a busy machine. With the call it must still come before
# whoever asked gives up.
_EXCHANGE_SECONDS: Final = 10
_LONGEST: Final = 200
_LONG_WORD = re.compile(r"[\w.~+/=-]{32,}")
_REASON: Final = ("error", "error_description")
_TOLD: Final = ("error_description", "hop", "step", "status", "reason")
# Whose fault a status is: with these the authority does not reach that far.
_REFUSALS: Final = {
    EXCHANGE: frozenset({HTTPStatus.BAD_REQUEST}),
    CALL: frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}),
}
_PASSED_ON: Final[dict[object, type[FurtherOn]]] = {
    kind.default_code: kind for kind in (RefusedFurtherOn, FailedFurtherOn)
}


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


def report_of_next(service: Service, token: str, scope: Scope) -> dict[str, Any] | None:
    """Return the report of the next service, or None if this one is the last.

    Args:
        service: the service that asks.
        token: the access token that it was called with.
        scope: what is needed there. No more than that is handed on.

    Raises:
        RefusedFurtherOn: the exchange or the call was refused, here or further on.
        FailedFurtherOn: there was no answer that makes sense.
    """
    if service.next is None:
        return None
    hop = Hop(service, service.next)
    onward = _exchanged(hop, token, scope)
    headers = {"Authorization": f"Bearer {onward}"}
    return _asked(hop, CALL, "GET", hop.asked.report, headers=headers, timeout=service.patience)


def _exchanged(hop: Hop, token: str, scope: Scope) -> str:
    fields = {
        "grant_type": names.TOKEN_EXCHANGE,
        "subject_token": token,
        "subject_token_type": names.ACCESS_TOKEN,
        "audience": hop.asked.audience,
        "scope": str(scope),
    }
    endpoint = urljoin(settings.ISSUER, reverse("delegation_app:exchange"))
    own = (hop.asking.key, _secret(hop))
    answer = _asked(
        hop, EXCHANGE, "POST", endpoint, data=fields, auth=own, timeout=_EXCHANGE_SECONDS
    )
    issued = answer.get("access_token")
    if not isinstance(issued, str) or not issued:
        raise hop.failed(EXCHANGE, "no_sense", "The answer has no token.")
    return issued


def _secret(hop: Hop) -> str:
    try:
        secret = credentials.secret_of(settings.DEMO_CREDENTIALS, hop.asking.key)
    except (credentials.Unreadable, OSError):
        secret = None
    if secret is None:
        raise hop.failed(EXCHANGE, "no_credentials", "It has no secret: run manage.py seed_demo.")
    return secret


def _asked(hop: Hop, step: str, method: str, address: str, **arguments: Any) -> dict[str, Any]:
    try:
        with new_session() as session:
            # A redirect would carry the token, or the secret, to wherever it leads.
            answer = session.request(method, address, allow_redirects=False, **arguments)
    except requests.RequestException as error:
        logger.info("no answer: %s", type(error).__name__)
        raise hop.failed(step, "no_answer", "There was no answer in time.") from error
    members = _members(answer)
    if answer.status_code != HTTPStatus.OK:
        raise _why(hop, step, answer.status_code, members)
    if members is None:
        raise hop.failed(step, "no_sense", "The answer is no JSON object.")
    return members


def _members(answer: requests.Response) -> dict[str, Any] | None:
    try:
        members = answer.json()
    except ValueError:
        return None
    return members if isinstance(members, dict) else None


def _why(hop: Hop, step: str, status: int, members: dict[str, Any] | None) -> FurtherOn:
    told = members or {}
    # The hop that went wrong is what helps; those before it only pass that on.
    if step == CALL and (further := _PASSED_ON.get(told.get("error"))) is not None:
        return further(_harmless(told, _TOLD))
    body = hop.body(step, _harmless(told, _REASON), status)
    return RefusedFurtherOn(body) if status in _REFUSALS[step] else FailedFurtherOn(body)


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
