import pytest

from delegation_app.client.target import Target
from tests.client.fakes import OTHER, SERVICE


def test_of_when_the_same_is_written_differently_then_it_is_equal():
    one = Target.of([OTHER, SERVICE, OTHER], "b  a")
    other = Target.of((SERVICE, OTHER), ["a", "b"])

    assert one == other
    assert hash(one) == hash(other)


def test_fields_when_nothing_is_said_then_nothing_is_sent():
    assert Target.of(None, None).fields("resource") == {}


def test_fields_when_something_is_said_then_it_is_sent_under_the_name_of_the_grant():
    assert Target.of([OTHER, SERVICE], "b a").fields("audience") == {
        "audience": [SERVICE, OTHER],
        "scope": "a b",
    }


@pytest.mark.parametrize(
    ("audience", "scope"),
    [("service-b", "a"), ("https://b.example.com/#f", "a"), (SERVICE, 'a"b'), (SERVICE, "ä")],
)
def test_of_when_it_makes_no_sense_then_it_is_refused(audience, scope):
    with pytest.raises(ValueError, match=r"absolute URI|characters"):
        Target.of(audience, scope)
