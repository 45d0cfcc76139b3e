"""Secrets that are redeemed once, and whose second use revokes their delegation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from delegation_app import clock
from delegation_app.grants.base import TokenRequest
from delegation_app.models import AuthorizationCode, Delegation, RefreshToken
from delegation_app.models.validity import in_force
from delegation_app.protocol import secrets
from delegation_app.protocol.errors import InvalidGrant, OAuthError
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services import audit
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.delegations import reuse, revocation
from delegation_app.services.tokens import reissue
from delegation_app.services.tokens.issuing import Issued, TokenParameters
from delegation_app.services.transactions import durable

Secret = TypeVar("Secret", AuthorizationCode, RefreshToken)
Retry = TypeVar("Retry")


@dataclass(frozen=True, slots=True)
class SingleUse(Generic[Secret, Retry]):
    """A kind of secret, as its grant declares it.

    Attributes:
        model: its table.
        parameter: the name of the request parameter.
        label: its name in refusals.
        reason: the reason of the revocation after a second use.
        mismatch: returns why the client may not redeem a secret; empty if it may.
        find_retry: returns evidence that the client did not get the first response, or None. Reads
            only.
        issue: issues tokens on the first use.
        issue_again: issues them again, with the evidence from `find_retry`.
    """

    model: type[Secret]
    parameter: str
    label: str
    reason: str
    mismatch: Callable[[Secret, RegisteredClient, Parameters], str]
    find_retry: Callable[[Secret, str, RegisteredClient], Retry | None]
    issue: Callable[[Secret, TokenRequest], Issued]
    issue_again: Callable[[Secret, TokenRequest, Retry], Issued | OAuthError]

    def refusal(self, detail: str, about: Delegation | None = None) -> InvalidGrant:
        """Return the refusal; only the audit trail has the detail."""
        return InvalidGrant(f"The {self.label} is not valid.", detail=detail, about=about)

    def end_reused(self, delegation: Delegation, origin: audit.RequestContext) -> InvalidGrant:
        """Revoke the delegation of a secret that was used twice, and return the refusal."""
        ended = revocation.subtree(
            delegation,
            origin.acting_as("system"),
            reason=self.reason,
            # A child's client has no screen on which the user could allow it again
            leaves_block=delegation.parent_id is None,
        )
        error = self.refusal("used before", delegation)
        error.recorded = bool(ended)
        return error

    def replayed(
        self, parameters: Parameters, names: Collection[str], client: RegisteredClient
    ) -> Iterator[Delegation]:
        """Yield the live delegations of used secrets that a client replays in `names`.

        One statement where there is a text that can be a secret, none otherwise, and those of
        `find_retry`.
        """
        sent = (text for name in names for text in parameters.all(name))
        texts = {secrets.digest(text): text for text in sent if len(text) == secrets.SECRET_LENGTH}
        if not texts:
            return
        rows = self.model.objects.filter(digest__in=texts, consumed_at__isnull=False)
        for row in rows.select_related("delegation"):
            if self.mismatch(row, client, parameters) or row.delegation.has_ended(clock.now()):
                continue
            if self.find_retry(row, texts[row.digest], client) is None:
                yield row.delegation


def redeem(kind: SingleUse[Secret, Retry], request: TokenRequest) -> Issued:
    """Redeem a secret for tokens: the first use, or a retry whose answer was lost.

    Raises:
        InvalidGrant: unknown, another client's, expired, used before, or its delegation ended.
        InvalidScope: nothing of the scope is left, or more is requested than the grant allows.
        InvalidTarget: a resource was not granted or is no longer available.
        OutcomeUnknown: the database was lost during the commit. The client may repeat the request,
            and gets tokens in place of those that it did not get.

    Side effects: locks the root; up to three rows and one audit event, or a revocation and its
        event.
    """
    text = request.parameters.require(kind.parameter)
    with reissue.noted(text):
        return _redeem(kind, text, request)


@durable
def _redeem(
    kind: SingleUse[Secret, Retry], text: str, request: TokenRequest
) -> Issued | OAuthError:
    row = _find(kind.model, text)
    if row is None:
        return kind.refusal("unknown")
    if mismatch := kind.mismatch(row, request.client, request.parameters):
        return kind.refusal(mismatch, row.delegation)
    # Before the requested scope is judged: a replay is one, whatever it requests. An error about
    # the scope of a first use rolls the use back.
    if _consume(kind.model, row, clock.now()):
        return kind.issue(row, request)
    row.refresh_from_db(fields=["consumed_at"])
    if reason := _why_unusable(row, clock.now()):
        return kind.refusal(reason, row.delegation)
    retry = kind.find_retry(row, text, request.client)
    if retry is None:
        return kind.end_reused(row.delegation, request.origin)
    return kind.issue_again(row, request, retry)


def granted(row: Secret, request: TokenRequest) -> TokenParameters:
    """Return the authority of a secret, cut by the blocks of its pair.

    Raises:
        InvalidGrant: nothing is left of its delegation.

    Side effects: those of `reuse.apply_blocks_unless_prompted`.
    """
    delegation = reuse.apply_blocks_unless_prompted(row.delegation, request.origin)
    return TokenParameters(delegation, request.client, row.scope, row.audience)


def _find(model: type[Secret], text: str) -> Secret | None:
    rows = model.objects.filter(digest=secrets.digest(text))
    # The root first. Only rows that are locked themselves are read again after a wait, and the
    # delegation may just have been narrowed.
    of = ("delegation__root", "delegation")
    return rows.select_related("delegation__root").select_for_update(of=of).first()


def _consume(model: type[Secret], row: Secret, now: datetime) -> bool:
    # One conditional UPDATE decides. Under the lock, it sees any earlier revocation
    usable = model.objects.filter(in_force(now, "delegation__"), expires_at__gt=now)
    return bool(usable.filter(pk=row.pk, consumed_at=None).update(consumed_at=now))


def _why_unusable(row: Secret, now: datetime) -> str:
    # Empty for a used secret, whose delegation may need protection
    has_ended = row.delegation.has_ended(now)
    if row.consumed_at is None and row.expires_at <= now:
        # Most expired secrets are merely late
        return "expired, and its delegation has ended" if has_ended else "expired"
    # A disabled user or client may be enabled again; an ended delegation needs no protection
    is_used = row.consumed_at is not None and not has_ended
    return "" if is_used else row.delegation.why_not_in_force(now)
