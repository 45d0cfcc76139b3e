"""Fixtures for pytest: `pytest_plugins = ["delegation_app.testing.pytest_plugin"]`.

Everything is imported when a fixture is used: pytest loads plugins before Django is set up, and a
resource server has neither the tables nor factory_boy.
"""
# ruff: noqa: ARG001, PLC0415 - `db` is for its effect; for the imports see above

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from delegation_app.resource_server.principal import Principal
    from delegation_app.testing.fake_issuer import FakeIssuer


@pytest.fixture
def fake_issuer() -> Iterator[FakeIssuer]:
    """A `FakeIssuer` whose tokens, and no others, the views accept during the test.

    Its issuer and audience are those of DELEGATION_RESOURCE_SERVER.
    """
    from delegation_app.resource_server.conf import conf
    from delegation_app.testing.fake_issuer import FakeIssuer
    from delegation_app.testing.verifiers import verified_by

    with verified_by(FakeIssuer(conf.issuer, conf.audience)) as issuer:
        yield issuer


@pytest.fixture
def acting_as() -> Iterator[Callable[..., Principal]]:
    """Call it as the function `acting_as`: it returns the principal, and ends with the test."""
    from delegation_app.testing.acting_as import acting_as as block

    with ExitStack() as stack:
        yield lambda client, **authority: stack.enter_context(block(client, **authority))


@pytest.fixture
def token_for(db: None) -> Callable[..., str]:
    """The function `delegation_app.testing.tokens.token_for`."""
    from delegation_app.testing.tokens import token_for

    return token_for


@pytest.fixture
def user_factory(db: None) -> Any:
    """The class `UserFactory`."""
    return _factory("UserFactory")


@pytest.fixture
def resource_server_factory(db: None) -> Any:
    """The class `ResourceServerFactory`."""
    return _factory("ResourceServerFactory")


@pytest.fixture
def client_factory(db: None) -> Any:
    """The class `ClientFactory`."""
    return _factory("ClientFactory")


@pytest.fixture
def consent_factory(db: None) -> Any:
    """The class `ConsentFactory`."""
    return _factory("ConsentFactory")


@pytest.fixture
def delegation_factory(db: None) -> Any:
    """The class `DelegationFactory`."""
    return _factory("DelegationFactory")


def _factory(name: str) -> Any:
    from delegation_app.testing import factories

    return getattr(factories, name)
