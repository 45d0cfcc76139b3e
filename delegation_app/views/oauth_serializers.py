"""The request and response bodies of the OAuth endpoints, for the OpenAPI schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from rest_framework.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    DictField,
    IntegerField,
    JSONField,
    ListField,
)
from rest_framework.serializers import Serializer

from delegation_app.grants import REGISTRY
from delegation_app.protocol.requests.parameters import REPEATABLE
from delegation_app.views.endpoint import Operation

_CREDENTIALS: Final = frozenset({"client_id", "client_secret"})


def shape(name: str, required: Iterable[str], optional: Iterable[str] = (), **fields: Any) -> Any:
    """Return a serializer class with text fields, and with other `fields`."""
    sent = dict.fromkeys(required, True) | dict.fromkeys(sorted(optional), False)
    texts = {
        field: ListField(child=CharField(), required=needed)
        if field in REPEATABLE
        else CharField(required=needed)
        for field, needed in sent.items()
        if field not in fields
    }
    return type(name, (Serializer,), {**texts, **fields})


def token_operation(name: str, *grant_types: str) -> Operation:
    """Return the operation of a token endpoint for these grants, with their parameters."""
    parameters = {name for grant in grant_types for name in REGISTRY[grant].PARAMETERS}
    only = CharField(help_text=grant_types[0])
    grant_type = ChoiceField(choices=grant_types) if len(grant_types) > 1 else only
    form = shape(f"{name}Form".capitalize(), (), parameters | _CREDENTIALS, grant_type=grant_type)
    return Operation(name, "Issue tokens for a grant.", _ISSUED, body=form)


_ISSUED: Final = shape(
    "IssuedTokens",
    ("access_token", "token_type", "scope"),
    ("issued_token_type", "refresh_token"),
    expires_in=IntegerField(help_text="Seconds."),
    refresh_token_timeout=IntegerField(required=False, help_text="Seconds."),
    authorization_expires_in=IntegerField(required=False, help_text="Seconds."),
)
_PRESENTED: Final = shape("PresentedTokenForm", ("token",), {"token_type_hint"} | _CREDENTIALS)

REVOKE: Final = Operation("revokeToken", "Revoke a token of this client.", None, body=_PRESENTED)
INTROSPECT: Final = Operation(
    "introspectToken",
    "Return the state of a token, and the claims that this client may know.",
    shape(
        "IntrospectedToken",
        (),
        ("iss", "sub", "client_id", "scope", "token_type", "jti", "delegation_id"),
        active=BooleanField(),
        aud=JSONField(required=False, help_text="A string, or a list of strings."),
        **{name: IntegerField(required=False) for name in ("iat", "nbf", "exp")},
        **{name: DictField(required=False) for name in ("act", "may_act", "delegation")},
    ),
    body=_PRESENTED,
)
AUTHORIZE_DEVICE: Final = Operation(
    "authorizeDevice",
    "Return a device code, a user code, and the page where the user enters it.",
    shape(
        "DeviceAuthorization",
        ("device_code", "user_code", "verification_uri", "verification_uri_complete"),
        expires_in=IntegerField(help_text="Seconds."),
        interval=IntegerField(help_text="Seconds between two polls."),
    ),
    body=shape("DeviceForm", (), {"scope", "resource", "constraints"} | _CREDENTIALS),
)
AUTHORIZE: Final = Operation(
    "authorize",
    "Ask the user for consent, and redirect to the client with a code or an error.",
    str,
    query=shape(
        "AuthorizationRequest",
        ("client_id", "response_type", "code_challenge", "code_challenge_method"),
        ("redirect_uri", "scope", "state", "resource", "prompt", "max_age", "constraints"),
    ),
    media_type="text/html",
)
DEVICE_PAGE: Final = Operation(
    "connectDevice",
    "Show the page on which a user connects a device.",
    str,
    query=shape("DevicePageRequest", (), ("user_code",)),
    media_type="text/html",
)
