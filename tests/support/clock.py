"""A clock that stands still until it is moved."""

from datetime import timedelta
from unittest import mock

import pytest
from django.utils import timezone


class Clock:
    """Stands in for `timezone.now`, which is all that the app reads for expiry."""

    def __init__(self, start):
        self.time = start

    def __call__(self):
        return self.time

    def forward(self, **duration):
        """Let time pass; takes what `timedelta` takes."""
        self.time += timedelta(**duration)


@pytest.fixture
def clock():
    """Time stands still, a second ahead of what other fixtures have made."""
    stopped = Clock(timezone.now().replace(microsecond=0) + timedelta(seconds=1))
    with mock.patch("django.utils.timezone.now", stopped):
        yield stopped
