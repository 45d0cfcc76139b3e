"""Asking a service until it refuses: what is told of it, and when it has taken too long."""

import io
from io import StringIO

import pytest
import requests

from example_project.demo import reach
from example_project.demo.expectations import NotAsTold
from example_project.demo.transcript import Transcript


@pytest.fixture
def clock(monkeypatch):
    """A clock that only sleeping moves; it began when the revocation had returned."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            self.now += seconds

    made = Clock()
    monkeypatch.setattr(reach, "time", made)
    return made


def answers(*statuses, error="invalid_token"):
    """A call that is answered like this, one after the other; the last again and again."""
    left = list(statuses)

    def ask():
        status = left.pop(0) if len(left) > 1 else left[0]
        answer = requests.Response()
        answer.status_code, answer.reason = status, "whatever"
        answer.headers["Content-Type"] = "application/json"
        answer.raw = io.BytesIO(b'{"error": "%s"}' % error.encode())
        answer.request = requests.Request("GET", "http://127.0.0.1/metrics").prepare()
        return answer

    return ask


def asked(clock, *statuses, **more):
    out = StringIO()
    took = reach.seconds_until_refused(Transcript(out), 99.5, answers(*statuses, **more))
    return took, out.getvalue()


def test_reach_when_it_refuses_at_once_then_one_call_is_told(clock):
    took, told = asked(clock, 401)
    assert took == 0.5
    assert told.count("→") == told.count("← 401") == 1
    assert "in between" not in told


@pytest.mark.parametrize(
    ("good", "between"), [(1, None), (2, "(calls in between: 1)"), (9, "(calls in between: 8)")]
)
def test_reach_when_it_refuses_later_then_the_first_and_the_last_call_are_told(
    clock, good, between
):
    took, told = asked(clock, *[200] * good, 401)
    assert took == pytest.approx(0.5 + good * 0.2)
    assert told.count("→") == 2
    assert told.index("← 200") < told.index("← 401")
    assert ("in between" in told) == (between is not None)
    assert between is None or between in told


def test_reach_when_it_never_refuses_then_that_is_not_as_told(clock):
    with pytest.raises(NotAsTold, match="a refusal within 8 seconds, got 39 good answers"):
        asked(clock, 200)


@pytest.mark.parametrize(
    ("status", "error"), [(503, "temporarily_unavailable"), (401, "something_else")]
)
def test_reach_when_it_refuses_for_another_reason_then_that_is_not_as_told(clock, status, error):
    with pytest.raises(NotAsTold):
        asked(clock, 200, status, error=error)
