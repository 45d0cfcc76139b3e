"""Questions that were shown and wait for an answer, kept in the person's session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from django.contrib.sessions.backends.base import UpdateError
from django.db import DatabaseError, OperationalError
from django.http import HttpRequest

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.protocol.authorization_request import AuthorizationRequest
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.printable import logger_for
from delegation_app.protocol.secrets import new_secret
from delegation_app.services.asked import Asked
from delegation_app.services.question_text import Text, compose

logger = logger_for("delegation_app")

_REQUESTS: Final = "delegation_requests"
_DEVICES: Final = "delegation_devices"
_SEEN: Final = "seen"
# A person with more pages of a kind open than this has lost track anyway.
_MOST: Final = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """What tells whether a text is the one that a person saw, without the text.

    Attributes:
        digest: of the text.
        locale: its language.
        at: the moment from which times in it are told, in seconds since 1970.
        held, known: what was granted before, as the page said.
        whole: whether all was asked, also what was granted before.
    """

    digest: str
    locale: str
    at: int
    held: str = ""
    known: str = ""
    whole: bool = True

    @classmethod
    def of(cls, text: Text, asked: Asked, *, whole: bool = True) -> Self:
        """Return what is kept of the text of a question."""
        moment = int(text.at.timestamp())
        return cls(text.digest, text.locale, moment, str(asked.held), str(asked.known), whole)

    def again(self, asked: Asked) -> Text | None:
        """Return the text that the person saw; None if the page would say something else now."""
        text = compose(asked, datetime.fromtimestamp(self.at, UTC), self.locale)
        return text if text.digest == self.digest else None


def keep(request: HttpRequest, asked: AuthorizationRequest, seen: Seen) -> str:
    """Store a question, and return the handle that its form posts back.

    Side effects: saves the session now, so that a failure is seen before the page is shown.
    """
    return _put(request, _REQUESTS, {**asked.to_json(), _SEEN: asdict(seen)})


def keep_device(request: HttpRequest, shown: Mapping[str, Any], seen: Seen) -> str:
    """Store what was shown of a device; see `keep`."""
    return _put(request, _DEVICES, {**shown, _SEEN: asdict(seen)})


def peek(request: HttpRequest, handle: str) -> tuple[AuthorizationRequest, Seen]:
    """Return the question behind a handle of this session and this person, and how it was shown.

    Raises:
        InvalidRequest: there is none, it is too old, or it was shown to somebody else.
    """
    stored, seen = _split(_get(request, _REQUESTS, handle))
    return AuthorizationRequest.from_json(stored), seen


def peek_device(request: HttpRequest, handle: str) -> tuple[dict[str, Any], Seen]:
    """Return what was shown of a device; see `peek`."""
    return _split(_get(request, _DEVICES, handle))


def forget(request: HttpRequest, handle: str) -> None:
    """Drop a question that was answered.

    Nothing depends on it: a second answer is refused by the record of the first. So a session
    that can't be saved any more does not take the first answer's code away.
    """
    for kind in (_REQUESTS, _DEVICES):
        if handle in request.session.get(kind, {}):
            kept = dict(request.session[kind])
            del kept[handle]
            request.session[kind] = kept
    try:
        _save(request)
    except (InvalidRequest, DatabaseError) as error:
        logger.warning("an answered question stays in its session: %s", error)


def _put(request: HttpRequest, kind: str, shown: Mapping[str, Any]) -> str:
    handle = new_secret()
    stamped = {
        **shown,
        "user_id": str(request.user.pk),
        "shown_at": clock.now().timestamp(),
    }
    kept = dict(list(request.session.get(kind, {}).items())[-(_MOST - 1) :])
    request.session[kind] = {**kept, handle: stamped}
    _save(request)
    return handle


def _get(request: HttpRequest, kind: str, handle: str) -> dict[str, Any]:
    stored: dict[str, Any] | None = request.session.get(kind, {}).get(handle)
    if stored is None:
        raise InvalidRequest(
            "This page was answered already or is too old. Start again in the app."
        )
    age = clock.now().timestamp() - stored["shown_at"]
    if age > conf.authorization_request_lifetime.total_seconds():
        raise InvalidRequest("This page is too old. Start again in the app.")
    if stored["user_id"] != str(request.user.pk):
        raise InvalidRequest("This page was shown to somebody else. Start again in the app.")
    return stored


def _split(stored: dict[str, Any]) -> tuple[dict[str, Any], Seen]:
    if _SEEN not in stored:
        # Kept by the release before this one
        raise InvalidRequest("This page is too old. Start again in the app.")
    rest = {name: value for name, value in stored.items() if name != _SEEN}
    return rest, Seen(**stored[_SEEN])


def _save(request: HttpRequest) -> None:
    # Saved here, or the middleware would save it again when the answer can't be changed any more.
    # A session that lives in a cookie marks itself as modified once more.
    request.session.modified = False
    try:
        request.session.save()
    except UpdateError as error:
        # Django says the same of a row that is gone and of a database that is
        if isinstance(error.__context__, OperationalError):
            raise error.__context__ from error
        # The person signed out in another window while this request ran.
        raise InvalidRequest("You are signed out. Start again in the app.") from error
