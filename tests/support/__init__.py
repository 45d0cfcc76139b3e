"""What tests of every kind use."""

import os

import pytest
from django.test import Client


def in_ci() -> bool:
    """Whether everything that a test may need has to be there."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def require_or_skip(condition: object, reason: str) -> None:
    """Skip a test that cannot run on this machine; in CI that is a failure."""
    if condition:
        return
    if in_ci():
        pytest.fail(f"CI runs every test, but: {reason}", pytrace=False)
    pytest.skip(reason)


class SecureClient(Client):
    """A test client that speaks https, as every real one does, unless told ``https=False``."""

    def __init__(self, *args, https=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.https = https

    def generic(self, *args, **kwargs):
        kwargs["secure"] = self.https
        return super().generic(*args, **kwargs)
