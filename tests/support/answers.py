"""What every answer must look like, and what a request left behind."""

import re
from contextlib import contextmanager

from delegation_app.models import (
    AccessToken,
    AuditEvent,
    AuthorizationCode,
    ConsentRecord,
    Delegation,
    DeviceCode,
    RefreshToken,
)

# RFC 6749 section 5.2
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{8,200}")

_TABLES = (AccessToken, AuthorizationCode, ConsentRecord, Delegation, DeviceCode, RefreshToken)


def refused(response, code, status=400):
    """Check an error answer of the back channel down to its headers."""
    assert response.status_code == status, (response.status_code, response.content[:500])
    assert response["Content-Type"] == "application/json"
    never_stored(response)
    body = response.json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == code
    assert DESCRIPTION.fullmatch(body["error_description"])
    # RFC 9110 section 15.5.2
    assert ("WWW-Authenticate" in response) == (status == 401)


def never_stored(response):
    assert response["Cache-Control"] == "no-store"
    assert response["Pragma"] == "no-cache"


def stored():
    """Every row that a request could have made or changed."""
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in _TABLES}


@contextmanager
def each(case):
    """Name the case of a loop in the report of a failure."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case {case!r}"[:200])
        raise


@contextmanager
def nothing_stored():
    """Check that no row was made or changed."""
    before = stored()
    yield
    assert stored() == before


@contextmanager
def recorded(*names):
    """Check that exactly these events were recorded, in this order.

    The first keys, which whoever comes first makes, do not count.
    """
    last = AuditEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0
    yield
    new = AuditEvent.objects.filter(id__gt=last).exclude(event="key.created").order_by("id")
    assert [event.event for event in new] == list(names), list(new.values())


@contextmanager
def refusal_recorded(code, **values):
    """Check that exactly one refusal was recorded, and nothing else changed."""
    with nothing_stored(), recorded("request.refused"):
        yield
    event = AuditEvent.objects.order_by("-id").first()
    assert event.outcome == AuditEvent.Outcome.REFUSED
    assert event.reason == code, (event.reason, event.details)
    for name, value in values.items():
        assert getattr(event, name) == value, name


def refuses(code, request, *, status=400, **values):
    """Check a refusal down to its headers, and that only its event was recorded; return it."""
    with refusal_recorded(code, **values):
        response = request()
    refused(response, code, status)
    return response
