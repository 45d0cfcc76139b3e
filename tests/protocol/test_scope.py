import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.errors import InvalidScope
from delegation_app.protocol.scope import Scope

NAME = st.text("abcdefghijklmnopqrstuvwxyz:/._-", min_size=1, max_size=12)
SCOPE = st.builds(Scope, st.lists(NAME, max_size=6))


@given(SCOPE)
def test_scope_when_printed_and_parsed_then_the_same(scope):
    assert Scope.parse(str(scope)) == scope


@given(SCOPE, SCOPE)
def test_scope_when_combined_then_it_is_a_set(one, two):
    assert (one & two) <= one <= (one | two)
    assert set(one - two) == set(one) - set(two)
    assert (one <= two) == (set(one) <= set(two))


@given(st.text(max_size=40))
def test_scope_when_text_is_arbitrary_then_parsed_or_invalid_scope(text):
    try:
        scope = Scope.parse(text)
    except InvalidScope:
        return
    assert set(scope) == set(text.split(" ")) - {""}


@pytest.mark.parametrize("text", ['a"b', "a\\b", "é", "a\tb", "a\nb", "\x7f"])
def test_scope_when_a_character_is_not_allowed_then_refused(text):
    with pytest.raises(InvalidScope):
        Scope.parse(text)


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["b", "a"], "a, b"),
        (["https://a.example.com/x.y:z-1"], "https://a.example.com/x.y:z-1"),
        (["<script>", "a'b", "a&b"], "?script?, a?b, a?b"),
    ],
)
def test_scope_when_listed_then_without_markup(names, text):
    assert Scope(names).listed() == text


def test_scope_when_long_then_its_list_is_cut():
    assert len(Scope(f"scope-{number}" for number in range(1000)).listed()) < 130
