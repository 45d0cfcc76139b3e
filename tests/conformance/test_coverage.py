import pytest

from tests.conformance import checklist

pytestmark = pytest.mark.any_database


def test_the_checklist_is_whole():
    assert len(checklist.requirements()) == 424
    assert {entry.split("-")[0] for entry in checklist.requirements()} >= checklist.GROUPS


def test_every_marker_names_a_requirement():
    unknown = {
        requirement: places
        for requirement, places in checklist.markers().items()
        if requirement not in checklist.requirements()
    }
    assert unknown == {}


def test_every_demanded_requirement_has_a_test_or_a_reason():
    open_ones = checklist.demanded() - checklist.markers().keys() - checklist.exceptions().keys()
    assert sorted(open_ones) == []


def test_every_exception_is_a_demanded_requirement_with_a_reason():
    assert sorted(checklist.exceptions().keys() - checklist.demanded()) == []
    assert [
        requirement
        for requirement, reason in checklist.exceptions().items()
        if len(reason.strip()) < 20
    ] == []


def test_no_exception_is_shown_by_a_test_as_well():
    assert sorted(checklist.exceptions().keys() & checklist.markers().keys()) == []


def test_exceptions_stand_in_the_order_of_the_checklist():
    order = list(checklist.requirements())
    assert list(checklist.exceptions()) == sorted(checklist.exceptions(), key=order.index)
