"""Fixtures for pytest: `pytest_plugins = ["delegation_app.testing.pytest_plugin"]`.

Imports take place in the fixtures: pytest loads plugins before Django is set up, and a resource
server has neither the tables nor factory_boy.
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
    """The function `acting_as`, until the end of the test; it returns the principal."""
    from delegation_app.testing.acting_as import acting_as as block

    with ExitStack() as stack:
        yield lambda client, **authority: stack.enter_context(block(client, **authority))


@pytest.fixture
def token_for(db: None) -> Callable[..., str]:
    """The function `delegation_app.testing.tokens.token_for`."""
    from delegation_app.testing.tokens import token_for

    return token_for


def _factory(name: str) -> Any:
    @pytest.fixture
    def fixture(db: None) -> Any:
        from delegation_app.testing import factories

        return getattr(factories, name)

    return fixture


user_factory = _factory("UserFactory")
resource_server_factory = _factory("ResourceServerFactory")
client_factory = _factory("ClientFactory")
consent_factory = _factory("ConsentFactory")
delegation_factory = _factory("DelegationFactory")
