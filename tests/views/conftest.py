import pytest

from tests.support.chains import Chain


@pytest.fixture
def chain(story):
    return Chain(story)
