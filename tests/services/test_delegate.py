"""Opening and handing on: the one place where what a child may hold is checked."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import override_settings
from django.utils import timezone

from delegation_app.models import Delegation
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import InvalidRequest, InvalidScope, InvalidTarget
from delegation_app.protocol.scope import Scope
from delegation_app.services.audit import RequestContext
from delegation_app.services.clients import lookup
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.terms import ChildTerms
from delegation_app.signals import delegation_created
from tests.support.answers import nothing_stored, recorded
from tests.support.chains import last_event
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, delegation_of

ORIGIN = RequestContext("client:service-a", ip="127.0.0.1")
READ = Scope(["read:metrics"])


def limits(*members):
    return Constraints.parse(list(members))


@pytest.fixture
def parent(story, world):
    """What alice lets web do, with a limit of every kind that a child could try to widen."""
    world.web.change(
        constraints=limits(
            {"type": "ip_range", "networks": ["127.0.0.0/8"]},
            {"type": "max_depth", "depth": 2},
            {"type": "resource_servers", "identifiers": [SERVICE_A, SERVICE_B]},
        )
    )
    return delegation_of(story.tokens())


@pytest.fixture
def terms(parent):
    """Good terms of a child."""
    return ChildTerms(
        parent=parent,
        client=lookup.find("service-a"),
        scope=READ,
        audience=Audience([SERVICE_B]),
        grant_type=names.TOKEN_EXCHANGE,
        constraints=parent.constraints.for_child(),
        actors=({"sub": "client:service-a", "client_id": "service-a"},),
        expires_at=parent.expires_at,
    )


def hand_on(terms):
    with transaction.atomic():
        return creation.delegate_onward(terms, ORIGIN)


@pytest.mark.conformance("TX-35", "TX-37", "DG-01", "DG-02")
def test_child_when_within_its_parent_then_it_is_opened_once(terms, parent):
    with recorded("delegation.chained"):
        child = hand_on(terms)
    with recorded():
        assert hand_on(terms) == child
    child.refresh_from_db()
    assert (child.parent, child.depth, child.scopes) == (parent, 1, READ)
    assert child.subject == parent.subject
    assert last_event(event="delegation.chained").details["chain"] == child.chain


def wider(**changes):
    return lambda terms: replace(terms, **changes)


def without(kind):
    def change(terms):
        kept = [member for member in terms.constraints if kind != member.TYPE]
        return replace(terms, constraints=Constraints(kept))

    return change


def later(terms):
    return replace(terms, expires_at=terms.parent.expires_at + timedelta(microseconds=1))


MORE = {
    "scope": (wider(scope=Scope(["read:metrics", "read:profile"])), InvalidScope),
    "reach": (wider(audience=Audience([SERVICE_B, SERVICE_C])), InvalidTarget),
    "lifetime": (later, InvalidRequest),
    "no end": (wider(expires_at=None), InvalidRequest),
    "no constraints": (wider(constraints=Constraints()), InvalidTarget),
    "no ip_range": (without("ip_range"), InvalidTarget),
    "no max_depth": (without("max_depth"), InvalidTarget),
    "no resource_servers": (without("resource_servers"), InvalidTarget),
    "as deep as the parent": (
        lambda terms: replace(terms, constraints=terms.parent.constraints), InvalidTarget
    ),
}  # fmt: skip


@pytest.mark.conformance("TX-22", "TX-37", "DG-02")
@pytest.mark.parametrize("name", MORE)
def test_child_when_it_would_exceed_its_parent_then_refused_whoever_asks(terms, name):
    change, error = MORE[name]
    with nothing_stored(), recorded(), pytest.raises(error):
        hand_on(change(terms))


def test_child_when_the_parent_ended_since_it_was_read_then_refused(terms, parent):
    revocation.subtree(parent, RequestContext("user:7"), reason="x")
    with nothing_stored(), recorded(), pytest.raises(InvalidRequest):
        hand_on(terms)


@pytest.mark.parametrize("what", ["client", "person"])
def test_child_when_the_parent_is_suspended_then_refused(terms, world, what):
    if what == "client":
        world.web.change(enabled=False)
    else:
        type(world.alice).objects.update(is_active=False)
    with nothing_stored(), pytest.raises(InvalidRequest):
        hand_on(terms)


def test_child_when_it_ended_then_the_same_terms_open_another(terms, clock):
    first = hand_on(replace(terms, expires_at=clock.time + timedelta(seconds=60)))
    clock.forward(seconds=60)
    second = hand_on(replace(terms, expires_at=clock.time + timedelta(seconds=60)))
    assert first != second


@pytest.mark.conformance("TX-38")
def test_child_when_max_depth_is_used_up_then_refused(terms):
    child = hand_on(terms)
    below = replace(terms, parent=child, constraints=child.constraints.for_child())
    grandchild = hand_on(below)
    last = replace(terms, parent=grandchild, constraints=grandchild.constraints.for_child())
    with pytest.raises(InvalidRequest, match="delegated any further"):
        hand_on(last)


@pytest.mark.conformance("TX-38")
def test_child_when_the_site_lowers_the_depth_then_it_counts_at_once(terms):
    child = hand_on(terms)
    below = replace(terms, parent=child, constraints=child.constraints.for_child())
    issuer = {"ISSUER": "https://as.example.com"}
    with (
        override_settings(DELEGATION={**issuer, "MAX_DEPTH": 1}),
        pytest.raises(InvalidRequest, match="maximum delegation depth"),
    ):
        hand_on(below)


def test_terms_when_they_differ_in_anything_then_the_child_is_another(terms):
    variants = [
        terms,
        replace(terms, scope=Scope(["write:alerts"])),
        replace(terms, audience=Audience([SERVICE_A])),
        replace(terms, actors=()),
        replace(terms, client=lookup.find("service-b")),
        replace(terms, constraints=terms.constraints.narrowed(
            limits({"type": "max_depth", "depth": 0}))),
    ]  # fmt: skip
    assert len({hand_on(variant).pk for variant in variants}) == len(variants)
    # When it ends is no part of it, or no two requests would ever share one.
    sooner = replace(terms, expires_at=timezone.now() + timedelta(days=1))
    assert sooner.digest == terms.digest


@pytest.mark.django_db(transaction=True)
def test_signal_when_a_child_is_opened_then_it_is_sent_once_and_after_the_commit(terms):
    heard = []

    def hear(delegation_id, **_):
        heard.append((delegation_id, transaction.get_connection().in_atomic_block))

    delegation_created.connect(hear)
    try:
        child = hand_on(terms)
        hand_on(terms)
    finally:
        delegation_created.disconnect(hear)
    assert heard == [(child.public_id, False)]


def test_row_when_it_contradicts_the_tree_then_the_database_refuses_it(terms):
    child = hand_on(terms)
    for values in ({"depth": 0}, {"parent": None}, {"expires_at": child.issued_at}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Delegation.objects.filter(pk=child.pk).update(**values)
