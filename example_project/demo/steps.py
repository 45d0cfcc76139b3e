"""Steps of the story: what they expect, how they fail, and how they are run."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import requests

from delegation_app.client import ClientError, Refused
from example_project.demo.transcript import Transcript

S = TypeVar("S")


class StepFailed(Exception):
    """The servers did something else than the story expects."""

    def __init__(self, what: str, *, expected: object, got: object) -> None:
        super().__init__(f"{what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


def expect(what: str, got: object, expected: object) -> None:
    """Compare.

    Raises:
        StepFailed: the two differ.
    """
    if got != expected:
        raise StepFailed(what, expected=expected, got=got)


def expect_error(answer: requests.Response, status: int, error: str) -> None:
    """Compare the status and the code of an error.

    Raises:
        StepFailed: either differs.
    """
    expect("the status", answer.status_code, status)
    expect("the error", answer.json().get("error"), error)


def expect_refused(call: Callable[[], object], error: str) -> None:
    """Make a call that the authorization server has to refuse.

    Raises:
        StepFailed: it succeeds, or fails with another code.
    """
    try:
        call()
    except Refused as refused:
        expect("the error", refused.code, error)
    else:
        raise StepFailed("the answer", expected=error, got="success")


def play(steps: Iterable[Callable[[S], str]], scene: S, transcript: Transcript) -> bool:
    """Run the steps in order; stop at the first that fails.

    Args:
        steps: functions of the scene. The docstring is the title, the result says what came of it.
        scene: what the steps share.
        transcript: where they are shown.

    Returns:
        Whether all of them succeeded.
    """
    for number, step in enumerate(steps, start=1):
        transcript.heading(number, (step.__doc__ or "").rstrip("."))
        try:
            outcome = step(scene)
        except StepFailed as failure:
            transcript.failed(failure.what, expected=failure.expected, got=failure.got)
            return False
        except (requests.RequestException, ClientError, LookupError, ValueError) as error:
            transcript.failed("the site", expected="a valid answer", got=repr(error))
            return False
        transcript.succeeded(outcome)
    return True
