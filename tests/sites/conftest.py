"""`build` makes host projects."""

import pytest

from tests.sites.site import Builder


@pytest.fixture
def build(tmp_path):
    """A `Builder`; what it made is gone after the test."""
    builder = Builder(tmp_path)
    yield builder
    builder.close()
