"""Why a token is refused, or a request was: step by step, as the endpoints themselves judge.

What is asked for may be a secret. It is compared by its digest, kept nowhere, and in nothing that
is returned.
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
# Codes, refresh tokens and opaque tokens; a text of their length is not looked for as it stands
_SECRET_LENGTHS: Final = (secrets.SECRET_LENGTH, secrets.OPAQUE_LENGTH)

_WRONG_JWT: Final = {
    "form": gettext_lazy("It is too long, or not made of three parts."),
    "typ": gettext_lazy("It is a signed token of another kind, such as a status list."),
    "kid or alg": gettext_lazy(
        "It names a key that is not published here: it was never ours, or was withdrawn."
    ),
    "signature": gettext_lazy("The signature is wrong: it was changed, or is not ours."),
    "iss": gettext_lazy("Another issuer signed it, or this one under another name."),
    "nbf or iat": gettext_lazy("Its time has not come yet."),
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was found.

    Attributes:
        what: what it is, in a few words.
        active: whether introspection calls it active; None if it is no token.
        steps: what was looked at, in order; what was not reached is not there.
        conclusion: the answer, in one sentence.
        delegation: the record behind it.
        events: the audit events about it, oldest first.
    """

    what: str
    active: bool | None
    steps: tuple[ExplanationStep, ...]
    conclusion: str
    delegation: Delegation | None = None
    events: tuple[AuditEvent, ...] = ()


def explain(text: str) -> Explanation:
    """Tell what became of a request or a token. Reads only, and notes no use.

    Args:
        text: a request id, a token id, a delegation id, or a token of any kind, as pasted.
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
    # A secret that nobody knows here must not stand in a statement, and so in a log
    if len(text) in _SECRET_LENGTHS or not _ID.fullmatch(text):
        return _unknown()
    found = lookup.by_id(text)
    if found is not None:
        return _access_token(_("The id of an access token"), found)
    # A request id may be read as a UUID as well
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
    conclusion = _("The delegation is in force: tokens are issued on it and accepted.")
    if failed:
        conclusion = _("Every token of the delegation is refused. %(why)s") % {
            "why": failed[0].text
        }
    return Explanation(_("A delegation"), None, steps, conclusion, row)


def _unknown() -> Explanation:
    conclusion = _(
        "Nothing is known here by that id, and no such token was issued here. A request that was "
        "refused among many like it is only counted; the log names it."
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
        detail = str(refused[-1].details.get("detail") or _("no more is on record"))
        words = {"code": refused[-1].reason, "detail": detail.rstrip(".")}
        conclusion = _("The request was refused as %(code)s: %(detail)s.") % words
        if (times := event_counts.times(refused[-1])) > 1:
            among = _("It was the last of %(count)d like it within a minute.")
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
        # What was expected and what was there is for the log
        cause = error.detail.removeprefix("jwt: ").partition(":")[0]
        wrong = str(_WRONG_JWT.get(cause, _("It is not well formed (%(what)s).") % {"what": cause}))
        return _judged(
            what, [ExplanationStep(_("Signature"), passed=False, text=wrong)], active=False
        )
    words = {"issuer": conf.issuer}
    signed = ExplanationStep(_("Signature"), passed=True, text=_("It is ours: %(issuer)s.") % words)
    found = lookup.find(text, allow_expired=True)
    if not isinstance(found, PresentedAccessToken):
        text = _("It was signed here, but there is no record of it.")
        return _judged(
            what, [signed, ExplanationStep(_("Record"), passed=False, text=text)], active=False
        )
    return _access_token(what, found, signed)


def _access_token(what: str, found: PresentedAccessToken, *before: ExplanationStep) -> Explanation:
    row = found.row
    events = AuditEvent.objects.filter(jti=row.jti).select_related("delegation")
    told = list(events.order_by("occurred_at", "pk")[:_MOST])
    places = of_places(found)
    steps = [
        *before,
        ExplanationStep(
            _("Record"),
            passed=True,
            text=_("It was issued on %(when)s to %(client)s for %(subject)s.")
            % {
                "when": moment(row.issued_at),
                "client": row.delegation.delegate_client_id,
                "subject": row.delegation.subject,
            },
            evidence=tuple(event for event in told if event.event != TOKEN_REVOKED.name)[:1],
        ),
        _token_revocation(row, told),
        expiry(_("Token: time"), row.expires_at),
        *of_delegation(row.delegation),
        places,
    ]
    active = found.active and places.passed
    return _judged(what, steps, active=active, delegation=row.delegation, events=told)


def _token_revocation(row: AccessToken, told: Iterable[AuditEvent]) -> ExplanationStep:
    title = _("Token")
    if row.revoked_at is None:
        return ExplanationStep(title, passed=True, text=_("It was not revoked by itself."))
    text = _("It was revoked on %(when)s.") % {"when": moment(row.revoked_at)}
    proof = tuple(event for event in told if event.event == TOKEN_REVOKED.name)[-1:]
    return ExplanationStep(title, passed=False, text=text, evidence=proof)


def _refresh_token(found: PresentedRefreshToken) -> Explanation:
    row = found.row
    left = row.scope & row.delegation.scopes
    used = ExplanationStep(_("Token"), passed=True, text=_("It was not used yet."))
    if row.consumed_at is not None:
        text = _("It was used on %(when)s, and has a successor.") % {
            "when": moment(row.consumed_at)
        }
        used = ExplanationStep(_("Token"), passed=False, text=text)
    steps = [
        used,
        expiry(_("Token: time"), row.expires_at),
        *of_delegation(row.delegation),
        ExplanationStep(
            _("Scopes"),
            passed=bool(left),
            text=_("It is good for %(scope)s.") % {"scope": left}
            if left
            else _("None of its scopes is left."),
        ),
    ]
    active = found.active and bool(left)
    return _judged(_("A refresh token"), steps, active=active, delegation=row.delegation)


def _code(digest: str) -> Explanation | None:
    for model, what in (
        (AuthorizationCode, _("An authorization code, which is no token")),
        (DeviceCode, _("A device code, which is no token")),
    ):
        row = model._default_manager.filter(digest=digest).select_related("delegation").first()
        if row is not None:
            return _judged(what, list(_steps_of_code(row)), active=False, delegation=row.delegation)
    return None


def _steps_of_code(row: AuthorizationCode | DeviceCode) -> Iterator[ExplanationStep]:
    text = _("A code is redeemed at the token endpoint; a service refuses it.")
    yield ExplanationStep(_("Kind"), passed=False, text=text)
    if row.consumed_at is not None:
        text = _("It was redeemed on %(when)s.") % {"when": moment(row.consumed_at)}
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
    conclusion = _("It is good: introspection answers “active” to those whose business it is.")
    if not active:
        failed = [step for step in steps if not step.passed]
        why = failed[0].text if failed else _("it is not active.")
        conclusion = _("It is refused. %(why)s") % {"why": why}
    return Explanation(what, active, steps, conclusion, delegation, tuple(events))
