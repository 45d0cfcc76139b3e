"""What a step of the story must find, and the one way in which it can go wrong."""

from collections.abc import Callable

import requests

from delegation_app.client import Refused


class NotAsTold(Exception):
    """Something happened that the story does not tell."""

    def __init__(self, what: str, *, expected: object, got: object) -> None:
        super().__init__(f"{what}: expected {expected}, got {got}")
        self.what = what
        self.expected = expected
        self.got = got


def expect(what: str, got: object, expected: object) -> None:
    """Compare.

    Raises:
        NotAsTold: the two differ.
    """
    if got != expected:
        raise NotAsTold(what, expected=expected, got=got)


def expect_refusal(answer: requests.Response, status: int, error: str) -> None:
    """Look at the status and the code of an error.

    Raises:
        NotAsTold: it is another one, or none.
    """
    expect("the status", answer.status_code, status)
    expect("the error", answer.json().get("error"), error)


def expect_refused(act: Callable[[], object], error: str) -> None:
    """Do something that the authorization server refuses.

    Args:
        act: what is done.
        error: the code of the error.

    Raises:
        NotAsTold: it is another one, or none.
    """
    try:
        act()
    except Refused as refused:
        expect("the error", refused.code, error)
    else:
        raise NotAsTold("the answer", expected=error, got="success")
