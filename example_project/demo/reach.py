"""How far a revocation has come: a service is asked until it refuses."""

import time
from collections.abc import Callable
from typing import Final

import requests

from example_project.demo.expectations import NotAsTold, expect_refusal
from example_project.demo.transcript import Transcript

# A verifier asks for the list every five seconds, the server looks at its tables once a second, and
# a busy machine takes its time.
LONGEST: Final = 8.0
_PAUSE: Final = 0.2


def seconds_until_refused(
    transcript: Transcript, revoked_at: float, ask: Callable[[], requests.Response]
) -> float:
    """Ask until the answer is a refusal, and return how many seconds that was after the revocation.

    The first and the last call are told, and how many there were between them.

    Args:
        transcript: where to.
        revoked_at: when the revocation had returned, on the clock that never goes back.
        ask: makes the call and returns its answer.

    Raises:
        NotAsTold: it took too long, or the refusal is another one.
    """
    answer, again = ask(), 0
    transcript.exchange(answer)
    while answer.ok:
        if time.monotonic() - revoked_at > LONGEST:
            expected = f"a refusal within {LONGEST:.0f} seconds"
            raise NotAsTold("the service", expected=expected, got=f"{again + 1} good answers")
        time.sleep(_PAUSE)
        answer, again = ask(), again + 1
    took = time.monotonic() - revoked_at
    if again > 1:
        transcript.say(f"    … (calls in between: {again - 1})")
    if again:
        transcript.exchange(answer)
    expect_refusal(answer, 401, "invalid_token")
    return took
