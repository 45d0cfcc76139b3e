import json
from datetime import UTC, datetime

import pytest

from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import (
    REGISTRY,
    AccessContext,
    Constraints,
    EnforcementPoint,
    InvalidConstraint,
    install,
    parse_text,
)
from delegation_app.protocol.constraints.max_uses import MaxUses
from delegation_app.protocol.errors import InvalidRequest

pytestmark = pytest.mark.any_database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEN = {"type": "ip_range", "networks": ["10.0.0.0/8"]}
ONE = {"type": "ip_range", "networks": ["10.1.0.0/16"]}
USES = {"type": "max_uses", "uses": 5}
DEPTH = {"type": "max_depth", "depth": 1}
SERVER = {"type": "resource_servers", "identifiers": ["https://b.example.com"]}


def test_access_when_now_is_naive():
    with pytest.raises(ValueError, match="aware"):
        AccessContext(EnforcementPoint.ISSUE, datetime(2026, 1, 1))  # noqa: DTZ001 - what is refused here


def test_constraints_when_empty():
    constraints = Constraints()
    assert not constraints
    assert list(constraints) == constraints.as_json() == constraints.describe() == []
    assert constraints.refusal(AccessContext(EnforcementPoint.ISSUE, NOW)) is None
    assert Constraints.parse([]) == constraints


def test_constraints_when_parsed():
    constraints = Constraints.parse([SERVER, USES, TEN])

    assert [constraint.TYPE for constraint in constraints] == [
        "ip_range",
        "max_uses",
        "resource_servers",
    ]
    assert len(constraints) == 3
    assert constraints.get("max_uses").as_json() == USES
    assert constraints.get("max_depth") is None
    assert constraints == Constraints.parse([TEN, SERVER, USES])


def test_constraints_when_two_of_one_type():
    assert Constraints.parse([TEN, ONE]).as_json() == [ONE]


def test_constraints_when_two_of_one_type_contradict():
    with pytest.raises(InvalidConstraint, match="no network would be left"):
        Constraints.parse([TEN, {"type": "ip_range", "networks": ["192.0.2.0/24"]}])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "array"),
        ({}, "array"),
        ("[]", "array"),
        ((TEN,), "array"),
        ([[]], "object"),
        ([None], "object"),
        ([{}], "needs a type"),
        ([{"type": 1}], "needs a type"),
        ([{"type": ["ip_range"]}], "needs a type"),
        ([{"type": ""}], "a name is not a known"),
        ([{"type": "colour"}], "colour is not a known"),
        ([{"type": "IP_RANGE", "networks": ["10.0.0.0/8"]}], "IP_RANGE is not a known"),
        ([{"type": "x\r\nSet-Cookie: a=b"}], "a name is not a known"),
        ([{"type": "x" * 500}], "a name is not a known"),
        ([USES] * 21, "more than 20"),
    ],
)
def test_constraints_when_malformed_or_unknown(value, reason):
    with pytest.raises(InvalidConstraint, match=reason) as caught:
        Constraints.parse(value)
    assert isinstance(caught.value, InvalidRequest)
    assert caught.value.code == "invalid_request"
    assert len(caught.value.description) < 100


def test_refusal_when_two_refuse():
    constraints = Constraints.parse([USES, TEN])
    access = AccessContext(EnforcementPoint.ISSUE, NOW, ip="192.0.2.1", uses=9)
    assert constraints.refusal(access) == "It may not be used from this address."
    assert constraints.refusal(
        AccessContext(EnforcementPoint.ISSUE, NOW, ip="10.0.0.1", uses=9)
    ).startswith("The maximum")
    assert constraints.refusal(AccessContext(EnforcementPoint.INTROSPECTION, NOW)) is None


def test_claim_when_asked():
    assert Constraints.parse([DEPTH, USES, SERVER, TEN]).claim() == [TEN, SERVER]


def test_handed_on_when_depth_is_limited():
    parent = Constraints.parse([DEPTH, SERVER])
    access = AccessContext(
        EnforcementPoint.HAND_ON, NOW, audience=Audience(["https://b.example.com"])
    )

    child = parent.for_child()

    assert parent.refusal(access) is None
    assert child.refusal(access) == "It may not be delegated any further."
    assert child.is_within(parent)
    assert not parent.is_within(child)


def test_is_within_when_parts_are_missing_or_wider_or_contradict():
    parent = Constraints.parse([ONE])
    assert Constraints.parse([ONE, USES]).is_within(parent)
    assert not Constraints.parse([TEN]).is_within(parent)
    assert not Constraints().is_within(parent)
    assert not Constraints.parse([{"type": "ip_range", "networks": ["::/0"]}]).is_within(parent)


def test_describe_when_asked():
    assert Constraints.parse([TEN, USES]).describe() == [
        "Only from 10.0.0.0/8.",
        "At most 5 tokens in total.",
    ]


@pytest.mark.parametrize("moment", EnforcementPoint)
@pytest.mark.parametrize(
    "stored", [[TEN, {"type": "gone", "a": 1}], [ONE, ONE | {"networks": ["::/0"]}], {}, [None], 1]
)
def test_stored_when_it_cannot_be_read_then_permits_nothing_anywhere(stored, moment):
    constraints = Constraints.stored(stored)

    assert constraints.refusal(AccessContext(moment, NOW, ip="10.0.0.1", uses=0))
    assert (
        constraints.for_child()
        .narrowed(by=Constraints.parse([TEN]))
        .refusal(AccessContext(moment, NOW, ip="10.0.0.1"))
    )
    for written in (constraints.as_json(), constraints.claim()):
        assert Constraints.stored(written).refusal(AccessContext(moment, NOW, ip="10.0.0.1"))
        with pytest.raises(InvalidConstraint):
            Constraints.parse(written)


def test_stored_when_it_cannot_be_read_then_written_back_as_it_was():
    stored = [{"type": "gone", "a": 1}, TEN]
    assert Constraints.stored(stored).as_json() == stored


def test_stored_when_two_cannot_be_read():
    both = Constraints.stored([{"type": "gone"}]).narrowed(
        by=Constraints.stored([{"type": "gone", "a": 1}])
    )
    assert both.refusal(AccessContext(EnforcementPoint.INTROSPECTION, NOW))
    assert all(sentence.endswith(".") for sentence in both.describe())


def test_stored_when_it_can_be_read():
    assert Constraints.stored([USES, TEN]) == Constraints.parse([USES, TEN])


def test_parse_text_when_well_formed():
    assert parse_text(f" {json.dumps([USES, TEN])}\n") == Constraints.parse([USES, TEN])
    assert parse_text("[]") == Constraints()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        "[",
        "[{]",
        "[" * 4096,
        '{"a":' * 800,
        '[{"type":"max_uses","uses":' + "[" * 2000 + "]" * 2000 + "}]",
        '[{"type":"max_uses","uses":NaN}]',
        '[{"type":"max_uses","uses":-Infinity}]',
        '[{"type":"max_uses","uses":1e999}]',
        '[{"type":"max_uses","uses":5.0}]',
        '[{"type":"max_uses","uses":1,"uses":2}]',
        '[{"type":"max_uses","type":"max_uses","uses":2}]',
        '[{"type":"max_uses","uses":' + "9" * 4060 + "}]",
        "[]" + " " * 4095,
        '[{"type":"' + "é" * 2048 + '"}]',
        '[{"type":"\\ud800"}]',
        '[{"type":"\ud800"}]',
        '[{"type":"resource_path","rules":[{"methods":["GET"],"prefixes":["/\\ud800"]}]}]',
        "\ufeff[]",
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_parse_text_when_malformed(text):
    with pytest.raises(InvalidConstraint):
        parse_text(text)


@pytest.fixture
def registry(monkeypatch):
    for name in set(REGISTRY):
        monkeypatch.setitem(REGISTRY, name, REGISTRY[name])
    before = set(REGISTRY)
    yield REGISTRY
    for name in set(REGISTRY) - before:
        del REGISTRY[name]


def test_install_when_type_is_new(registry):
    class MaxCoffees(MaxUses):
        TYPE = "max_coffees"

    assert install(MaxCoffees) is MaxCoffees
    assert install(MaxCoffees) is MaxCoffees

    constraints = Constraints.parse([{"type": "max_coffees", "uses": 2}])
    assert isinstance(constraints.get("max_coffees"), MaxCoffees)


def test_install_when_type_is_taken(registry):
    class Other(MaxUses):
        pass

    with pytest.raises(ValueError, match="already taken"):
        install(Other)
    assert registry["max_uses"] is MaxUses


@pytest.mark.parametrize("name", ["", "Max", "1a", "a-b", "a\n", "_a", "é"])
def test_install_when_type_is_malformed(registry, name):
    class Other(MaxUses):
        TYPE = name

    with pytest.raises(ValueError, match="is not a constraint type"):
        install(Other)
    assert name not in registry


def test_constraints_when_there_are_more_than_20_types(registry):
    kinds = [type(f"Max{number}", (MaxUses,), {"TYPE": f"max_{number}"}) for number in range(21)]
    with pytest.raises(InvalidConstraint, match="more than 20"):
        Constraints(kind(1) for kind in kinds)
