"""The same junk for a moment, so that no run of the suite is without it. CI throws for longer."""

import logging

import pytest
from hypothesis import given

from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.any_database


@pytest.fixture(autouse=True)
def _no_warning_for_each_refused_list():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_junk_when_thrown(target):
    given(*TARGETS[target])(target)()
