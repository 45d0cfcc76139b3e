"""Replacement verifiers for the duration of a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from delegation_app.protocol.verified_token import Verifier
from delegation_app.resource_server.authentication import BearerAuthentication
from delegation_app.resource_server.conf import conf
from delegation_app.testing.fake_issuer import FakeIssuer

Usual = Callable[[], Verifier]


@contextmanager
def replaced(stand_in: Callable[[str, Usual], Verifier]) -> Iterator[None]:
    """Verify every bearer token with another verifier.

    Views with a verifier of their own (`BearerAuthentication.using`) are included, and keep their
    audience. A subclass that overrides `get_verifier` is not.

    Args:
        stand_in: returns the verifier; its arguments are the audience of the view, and a function
            that returns the replaced verifier.

    Side effects: replaces a method of `BearerAuthentication` in this process until the block ends.
    """
    usual = BearerAuthentication.get_verifier

    def get_verifier(bearer: BearerAuthentication) -> Verifier:
        audience = conf.audience if bearer.verifier is None else bearer.verifier.audience
        return stand_in(audience, lambda: usual(bearer))

    with mock.patch.object(BearerAuthentication, "get_verifier", get_verifier):
        yield


@contextmanager
def verified_by(issuer: FakeIssuer) -> Iterator[FakeIssuer]:
    """Make every view of this process accept the tokens of a fake issuer, and no others.

    Args:
        issuer: the fake issuer.

    Yields:
        The issuer.

    Side effects: those of `replaced`.
    """
    known: dict[str, Verifier] = {}

    def stand_in(audience: str, _usual: Usual) -> Verifier:
        if audience not in known:
            known[audience] = issuer.verifier(audience)
        return known[audience]

    with replaced(stand_in):
        yield issuer
