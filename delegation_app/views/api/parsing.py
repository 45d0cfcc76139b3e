"""Request parsing: unknown, repeated, oversized and deeply nested values are refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from django.http import HttpRequest
from rest_framework.serializers import Serializer

from delegation_app import http
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.requests.parameters import decode
from delegation_app.protocol.requests.reading import is_storable
from delegation_app.protocol.secrets import masked
from delegation_app.views.api.errors import UnsupportedMediaType

JSON: Final = "application/json"
# Enough for a constraint in a list
MAX_DEPTH: Final = 12

Shape = type[Serializer[Any]]


def from_query(request: HttpRequest, shape: Shape | None) -> dict[str, Any]:
    """Return the parameters of the query, validated. Without `shape`, there must be none.

    Raises:
        InvalidRequest: unknown, repeated, empty or malformed.
        ValidationError: invalid for the serializer.
    """
    pairs = decode(request.META.get("QUERY_STRING", ""))
    # A script with an unset variable must not match everything
    if not all(value for _name, value in pairs):
        raise InvalidRequest("A parameter has no value.")
    return _shaped(_once(pairs), shape, is_text=True)


def from_body(request: HttpRequest, shape: Shape) -> dict[str, Any]:
    """Return the members of a JSON body, validated; see `from_query`."""
    sent = _parsed(http.read_body(request))
    if not isinstance(sent, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return _shaped(sent, shape, is_text=False)


def require_json(request: HttpRequest) -> None:
    """Require a JSON body, before it is parsed.

    Raises:
        UnsupportedMediaType: another content type, or another charset than UTF-8.
    """
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    if request.content_type != JSON or charset != "utf-8":
        raise UnsupportedMediaType(f"The body must be {JSON} in UTF-8.")


def _shaped(sent: dict[str, Any], shape: Shape | None, *, is_text: bool) -> dict[str, Any]:
    if shape is None:
        _refuse_unknown(sent, ())
        return {}
    reader = shape(data=sent, context={"is_text": is_text})
    _refuse_unknown(sent, reader.fields)
    reader.is_valid(raise_exception=True)
    return dict(reader.validated_data)


def _refuse_unknown(sent: Iterable[str], known: Iterable[str]) -> None:
    if unknown := sorted(set(sent) - set(known)):
        raise InvalidRequest(f"Unknown parameter: {masked(unknown[0])[:40]}.")


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidRequest(f"The parameter '{masked(name)[:40]}' was sent more than once.")
        found[name] = value
    return found


def _parsed(body: bytes) -> Any:
    try:
        sent = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError as error:
        raise InvalidRequest("The JSON is nested too deeply.") from error
    except ValueError as error:
        # Also a number with more digits than Python reads
        raise InvalidRequest("The body is not JSON in UTF-8.") from error
    _refuse_unstorable(sent, MAX_DEPTH)
    return sent


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _refuse_unstorable(value: Any, levels: int) -> None:
    if levels < 0:
        raise InvalidRequest("The JSON is nested too deeply.")
    if not is_storable(value):
        what = (
            "a character that cannot be stored"
            if isinstance(value, str)
            else ("a number that is too large")
        )
        raise InvalidRequest(f"The request contains {what}.")
    if isinstance(value, dict):
        for name, inner in value.items():
            _refuse_unstorable(name, levels)
            _refuse_unstorable(inner, levels - 1)
    if isinstance(value, list):
        for inner in value:
            _refuse_unstorable(inner, levels - 1)
