"""Why a token or request is refused, step by step, with the checks of the endpoints.

The text may be a secret. It is compared by its digest, not stored, and not part of the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import TOKEN_REVOKED
from delegation_app.models import AccessToken, AuditEvent, AuthorizationCode, Delegation, DeviceCode
from delegation_app.protocol import jose, names, secrets
from delegation_app.protocol.errors import InvalidToken
from delegation_app.protocol.requests.public_id import as_uuid
from delegation_app.services import event_counts, signing_keys
from delegation_app.services.reporting.explanation_steps import (
    ExplanationStep,
    expiry,
    moment,
    of_client,
    of_delegation,
    of_places,
)
from delegation_app.services.tokens import lookup
from delegation_app.services.tokens.lookup import PresentedAccessToken, PresentedRefreshToken

LONGEST: Final = jose.MAX_TOKEN_LENGTH
_MOST: Final = 50
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_BY_A_COMMAND: Final = "manage."
# Codes, refresh tokens and opaque tokens; a text of their length is searched by digest only
_SECRET_LENGTHS: Final = (secrets.SECRET_LENGTH, secrets.OPAQUE_LENGTH)

_WRONG_JWT: Final = {
    "form": gettext_lazy("It is too long, or does not have three parts."),
    "typ": gettext_lazy("It is a signed token of another kind, such as a status list."),
    "kid or alg": gettext_lazy("Its key is not published by this server, or was withdrawn."),
    "signature": gettext_lazy(
        "The signature is invalid: the token was changed, or another server issued it."
    ),
    "iss": gettext_lazy("Its issuer is different from the issuer of this server."),
    "nbf or iat": gettext_lazy("It is not valid yet."),
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """The result.

    Attributes:
        what: the kind of text.
        active: whether introspection reports it as active; None if it is not a token.
        steps: the checks, in order, up to the last one that applies.
        conclusion: the result in one sentence.
        delegation: its delegation.
        events: its audit events, oldest first.
    """

    what: str
    active: bool | None
    steps: tuple[ExplanationStep, ...]
    conclusion: str
    delegation: Delegation | None = None
    events: tuple[AuditEvent, ...] = ()


def explain(text: str) -> Explanation:
    """Explain the state of a request or a token. Read-only; records no use.

    Args:
        text: a request id, token id, delegation id, or a token of any kind.
    """
    text = text.strip().removeprefix("Bearer ").strip()
    if text.startswith(_BY_A_COMMAND):
        return _request(text) or _unknown()
    if jose.looks_like_jws(text):
        return _jwt(text)
    found = lookup.find(text)
    if isinstance(found, PresentedRefreshToken):
        return _refresh_token(found)
    if found is not None:
        return _access_token(_("An opaque access token"), found)
    return _code(secrets.digest(text)) or _by_id(text)


def _by_id(text: str) -> Explanation:
    # An unknown secret must not appear in a statement, and so in a log
    if len(text) in _SECRET_LENGTHS or not _ID.fullmatch(text):
        return _unknown()
    found = lookup.by_id(text)
    if found is not None:
        return _access_token(_("The id of an access token"), found)
    # A request id may have the form of a UUID
    return _request(text) or _delegation(text) or _unknown()


def _delegation(text: str) -> Explanation | None:
    public_id = as_uuid(text, as_typed=True)
    if public_id is None:
        return None
    rows = Delegation.objects.filter(public_id=public_id).select_related("principal_user")
    if (row := rows.first()) is None:
        return None
    steps = tuple(of_delegation(row))
    failed = [step for step in steps if not step.passed]
    conclusion = _("The delegation is live: its tokens are issued and accepted.")
    if failed:
        conclusion = _("All tokens of the delegation are refused. %(why)s") % {
            "why": failed[0].text
        }
    return Explanation(_("A delegation"), None, steps, conclusion, row)


def _unknown() -> Explanation:
    conclusion = _(
        "This server has no record with that id, and did not issue such a token. Repeated refusals "
        "are counted without their ids; search the log for them. The request ids of a resource "
        "server are in its own log: enter the token or its id instead."
    )
    return Explanation(_("Unknown"), None, (), conclusion)


def _request(request_id: str) -> Explanation | None:
    rows = AuditEvent.objects.filter(request_id=request_id)
    events = list(rows.select_related("delegation").order_by("occurred_at", "pk")[:_MOST])
    if not events:
        return None
    refused = [event for event in events if event.outcome == AuditEvent.Outcome.REFUSED]
    conclusion = _("The request was not refused.")
    if refused:
        detail = str(refused[-1].details.get("detail") or _("no detail recorded"))
        words = {"code": refused[-1].reason, "detail": detail.rstrip(".")}
        conclusion = _("The request was refused with %(code)s: %(detail)s.") % words
        if (times := event_counts.times(refused[-1])) > 1:
            among = _("It is the last of %(count)d equal refusals within a minute.")
            conclusion = f"{conclusion} {among % {'count': times}}"
    about = next((e.delegation for e in reversed(events) if e.delegation is not None), None)
    steps = tuple(of_client(refused[-1].client_id_value)) if refused else ()
    return Explanation(_("A request"), None, steps, conclusion, about, tuple(events))


def _jwt(text: str) -> Explanation:
    what = _("An access token, signed")
    try:
        jose.verify(
            text,
            signing_keys.key_for,
            typ=names.ACCESS_TOKEN_TYP,
            issuer=conf.issuer,
            now=clock.now().timestamp(),
            allow_expired=True,
        )
    except InvalidToken as error:
        # The expected and actual values are for the log only
        cause = error.detail.removeprefix("jwt: ").partition(":")[0]
        wrong = str(_WRONG_JWT.get(cause, _("It is malformed (%(what)s).") % {"what": cause}))
        return _judged(
            what, [ExplanationStep(_("Signature"), passed=False, text=wrong)], active=False
        )
    words = {"issuer": conf.issuer}
    signed = ExplanationStep(_("Signature"), passed=True, text=_("Issued by %(issuer)s.") % words)
    found = lookup.find(text, allow_expired=True)
    if not isinstance(found, PresentedAccessToken):
        text = _("This server signed it, but has no record of it.")
        return _judged(
            what, [signed, ExplanationStep(_("Record"), passed=False, text=text)], active=False
        )
    return _access_token(what, found, signed)


def _access_token(what: str, found: PresentedAccessToken, *before: ExplanationStep) -> Explanation:
    row = found.row
    events = AuditEvent.objects.filter(jti=row.jti).select_related("delegation")
    recorded = list(events.order_by("occurred_at", "pk")[:_MOST])
    places = of_places(found)
    steps = [
        *before,
        ExplanationStep(
            _("Record"),
            passed=True,
            text=_("Issued on %(when)s to %(client)s for %(subject)s.")
            % {
                "when": moment(row.issued_at),
                "client": row.delegation.delegate_client_id,
                "subject": row.delegation.subject,
            },
            evidence=tuple(event for event in recorded if event.event != TOKEN_REVOKED.name)[:1],
        ),
        _token_revocation(row, recorded),
        expiry(_("Token: time"), row.expires_at),
        *of_delegation(row.delegation),
        places,
    ]
    active = found.active and places.passed
    return _judged(what, steps, active=active, delegation=row.delegation, events=recorded)


def _token_revocation(row: AccessToken, recorded: Iterable[AuditEvent]) -> ExplanationStep:
    title = _("Token")
    if row.revoked_at is None:
        return ExplanationStep(title, passed=True, text=_("The token is not revoked."))
    text = _("The token was revoked on %(when)s.") % {"when": moment(row.revoked_at)}
    proof = tuple(event for event in recorded if event.event == TOKEN_REVOKED.name)[-1:]
    return ExplanationStep(title, passed=False, text=text, evidence=proof)


def _refresh_token(found: PresentedRefreshToken) -> Explanation:
    row = found.row
    left = row.scope & row.delegation.scopes
    used = ExplanationStep(_("Token"), passed=True, text=_("The token is unused."))
    if row.consumed_at is not None:
        text = _("The token was used on %(when)s and replaced.") % {"when": moment(row.consumed_at)}
        used = ExplanationStep(_("Token"), passed=False, text=text)
    steps = [
        used,
        expiry(_("Token: time"), row.expires_at),
        *of_delegation(row.delegation),
        ExplanationStep(
            _("Scopes"),
            passed=bool(left),
            text=_("Valid for %(scope)s.") % {"scope": left} if left else _("No scopes remain."),
        ),
    ]
    active = found.active and bool(left)
    return _judged(_("A refresh token"), steps, active=active, delegation=row.delegation)


def _code(digest: str) -> Explanation | None:
    for model, what in (
        (AuthorizationCode, _("An authorization code, which is not a token")),
        (DeviceCode, _("A device code, which is not a token")),
    ):
        row = model._default_manager.filter(digest=digest).select_related("delegation").first()
        if row is not None:
            return _judged(what, list(_steps_of_code(row)), active=False, delegation=row.delegation)
    return None


def _steps_of_code(row: AuthorizationCode | DeviceCode) -> Iterator[ExplanationStep]:
    text = _("A code is redeemed at the token endpoint. Services refuse it.")
    yield ExplanationStep(_("Kind"), passed=False, text=text)
    if row.consumed_at is not None:
        text = _("The code was redeemed on %(when)s.") % {"when": moment(row.consumed_at)}
        yield ExplanationStep(_("Code"), passed=False, text=text)
    yield expiry(_("Code: time"), row.expires_at)
    if row.delegation is not None:
        yield from of_delegation(row.delegation)


def _judged(
    what: str,
    steps: Iterable[ExplanationStep],
    *,
    active: bool,
    delegation: Delegation | None = None,
    events: Iterable[AuditEvent] = (),
) -> Explanation:
    steps = tuple(steps)
    conclusion = _("The token is active.")
    if not active:
        failed = [step for step in steps if not step.passed]
        why = failed[0].text if failed else _("The token is not active.")
        conclusion = _("The token is refused. %(why)s") % {"why": why}
    return Explanation(what, active, steps, conclusion, delegation, tuple(events))
