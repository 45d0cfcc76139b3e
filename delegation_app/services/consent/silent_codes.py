"""How often a client may send a person through without a page.

Each time leaves rows, and an app that loops with `prompt=none` does so as fast as it can.
"""

from __future__ import annotations

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.protocol.errors import TooManyAttempts
from delegation_app.services import event_counts
from delegation_app.services.consent.question import ConsentQuestion

_WINDOW = 60


def count(question: ConsentQuestion) -> None:
    """Count one code more of this minute.

    Raises:
        TooManyAttempts: SILENT_CODES_PER_MINUTE are reached. It may be redirected to the client
            (RFC 6749 section 4.1.2.1: `temporarily_unavailable`).
    """
    seconds = int(clock.now().timestamp())
    person, client = question.sign_in.subject, question.client.client_id
    group = f"silent code\n{person}\n{client}"
    if event_counts.nth(seconds // _WINDOW, group) > conf.silent_codes_per_minute:
        error = TooManyAttempts(
            "Too many codes for one person. Wait a minute.",
            retry_after=_WINDOW - seconds % _WINDOW,
            detail=f"SILENT_CODES_PER_MINUTE is {conf.silent_codes_per_minute}",
        )
        raise error.redirected_to(question.request.target)
