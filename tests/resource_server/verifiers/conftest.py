import pytest

from tests.resource_server.issuer import Issuer


@pytest.fixture
def issuer():
    return Issuer()
