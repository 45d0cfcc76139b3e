"""The same question answered a second time: the first answer stands and is delivered again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from delegation_app.models import ConsentRecord
from delegation_app.protocol.scope import Scope
from delegation_app.services.consent import authorize
from delegation_app.services.consent.decision import Decision
from delegation_app.services.consent.question import ConsentQuestion
from delegation_app.services.tokens import authorization_codes


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """The answer that stands."""

    record: ConsentRecord

    @property
    def is_denial(self) -> bool:
        """Whether the user denied the request."""
        return self.record.decision == Decision.DENIED

    def repeat(
        self, question: ConsentQuestion, ticked: Scope, lifetime: timedelta | None
    ) -> str | None:
        """Deliver it to a user who gives the same answer again. Reads only.

        Args:
            question: what was shown.
            ticked: the scopes left ticked this time; none for a denial.
            lifetime: the time chosen this time; None for no end.

        Returns:
            The code that was issued. None if it cannot be delivered: it was redeemed, has expired,
            or the user now denies, allows, or allows less than the first time.

        Raises:
            AccessDenied: both answers are denials.
            AwaitsConfirmation: it waits for an operator.
        """
        if self.is_denial:
            if ticked:
                return None
            raise authorize.denial(question)
        if self.record.confirmation == ConsentRecord.Confirmation.PENDING:
            raise authorize.awaiting(question)
        if not ticked or not self._grants_at_most(ticked | question.held, lifetime):
            return None
        return authorization_codes.still_good(question.handle)

    def _grants_at_most(self, scope: Scope, lifetime: timedelta | None) -> bool:
        if not self.record.scopes_granted <= scope:
            return False
        if lifetime is None:
            return True
        end = self.record.chosen_expiry
        return end is not None and end <= self.record.decided_at + lifetime


def find(question: ConsentQuestion) -> FirstAnswer | None:
    """Return the answer of this user to this question; None if there is none. Reads only."""
    asked = question.asked
    rows = ConsentRecord.objects.filter(request_digest=asked.request_digest)
    record = rows.filter(user=asked.sign_in.user.pk).first()
    return None if record is None else FirstAnswer(record)
