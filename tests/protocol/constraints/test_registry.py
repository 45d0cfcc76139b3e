import pytest

from delegation_app.protocol.constraints import (
    REGISTRY,
    Constraints,
    InvalidConstraint,
    install,
)
from delegation_app.protocol.constraints.max_uses import MaxUses


@pytest.fixture
def registry(monkeypatch):
    for name in set(REGISTRY):
        monkeypatch.setitem(REGISTRY, name, REGISTRY[name])
    before = set(REGISTRY)
    yield REGISTRY
    for name in set(REGISTRY) - before:
        del REGISTRY[name]


def test_install_when_type_is_new_then_it_is_read(registry):
    class MaxCoffees(MaxUses):
        TYPE = "max_coffees"

    assert install(MaxCoffees) is MaxCoffees
    assert install(MaxCoffees) is MaxCoffees

    constraints = Constraints.parse([{"type": "max_coffees", "uses": 2}])
    assert isinstance(constraints.get("max_coffees"), MaxCoffees)


def test_install_when_type_is_taken_then_value_error(registry):
    class Other(MaxUses):
        pass

    with pytest.raises(ValueError, match="already taken"):
        install(Other)
    assert registry["max_uses"] is MaxUses


@pytest.mark.parametrize("name", ["", "Max", "1a", "a-b", "a\n", "_a", "é"])
def test_install_when_type_is_malformed_then_value_error(registry, name):
    class Other(MaxUses):
        TYPE = name

    with pytest.raises(ValueError, match="is not a constraint type"):
        install(Other)
    assert name not in registry


def test_constraints_when_there_are_more_than_20_types_then_invalid_constraint(registry):
    kinds = [type(f"Max{number}", (MaxUses,), {"TYPE": f"max_{number}"}) for number in range(21)]

    with pytest.raises(InvalidConstraint, match="more than 20"):
        Constraints(kind(1) for kind in kinds)
