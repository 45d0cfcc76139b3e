import pytest

from delegation_app.resource_server import runtime
from delegation_app.resource_server.authentication import BearerAuthentication
from tests.resource_server.isolated.service import Service
from tests.resource_server.issuer import Issuer


@pytest.fixture(autouse=True)
def _nothing_made_before():
    """What a process makes of its settings once is made anew for each test."""
    runtime.forget()
    yield
    runtime.forget()


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def bearer(issuer):
    return BearerAuthentication.using(issuer.verifier())


@pytest.fixture
def service(issuer, bearer):
    return Service(issuer, bearer)


@pytest.fixture
def configure(settings):
    def change(**values):
        settings.DELEGATION_RESOURCE_SERVER = {**settings.DELEGATION_RESOURCE_SERVER, **values}

    return change
