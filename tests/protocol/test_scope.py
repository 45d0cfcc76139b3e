import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.audience import Audience, is_absolute_uri, other_spelling
from delegation_app.protocol.errors import InvalidScope, InvalidTarget
from delegation_app.protocol.scope import Scope

pytestmark = pytest.mark.any_database

NAME = st.text("abcdefghijklmnopqrstuvwxyz:/._-", min_size=1, max_size=12)
SCOPE = st.builds(Scope, st.lists(NAME, max_size=6))


@given(SCOPE)
def test_scope_when_printed_and_parsed(scope):
    assert Scope.parse(str(scope)) == scope


@given(SCOPE, SCOPE)
def test_scope_when_combined(one, two):
    assert (one & two) <= one <= (one | two)
    assert set(one - two) == set(one) - set(two)
    assert (one <= two) == (set(one) <= set(two))


@given(st.text(max_size=40))
def test_scope_when_text_is_arbitrary(text):
    try:
        scope = Scope.parse(text)
    except InvalidScope:
        return
    assert set(scope) == set(text.split(" ")) - {""}


@pytest.mark.parametrize("text", ['a"b', "a\\b", "é", "a\tb", "a\nb", "\x7f"])
def test_scope_when_a_character_is_not_allowed(text):
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
def test_scope_when_listed(names, text):
    assert Scope(names).listed() == text


def test_scope_when_long():
    assert len(Scope(f"scope-{number}" for number in range(1000)).listed()) < 130


@pytest.mark.parametrize(
    "uri",
    ["https://a.example.com", "https://a.example.com/x?y=1", "urn:example:a", "https://[::1]:8/"],
)
def test_audience_when_uri_is_absolute(uri):
    assert is_absolute_uri(uri)
    assert list(Audience.parse([uri])) == [uri]


@pytest.mark.parametrize(
    "uri",
    ["", "/api", "a", "//host/x", "https://a/#f", "https://a/#", "https://a b", "https://é", "1:a"],
)
def test_audience_when_uri_is_relative_or_has_a_fragment(uri):
    with pytest.raises(InvalidTarget):
        Audience.parse([uri])


def test_audience_when_one():
    assert Audience(["https://a"]).claim() == "https://a"
    assert Audience(["https://b", "https://a"]).claim() == ["https://a", "https://b"]


def test_audience_when_compared():
    small, large = Audience(["https://a"]), Audience(["https://b", "https://a"])
    assert small <= large
    assert not large <= small
    assert str(large) == "https://a https://b"


@pytest.mark.parametrize(
    ("uri", "other"),
    [
        ("https://a.example.com", "https://a.example.com/"),
        ("https://a.example.com/", "https://a.example.com"),
        ("http://a:80/", "http://a:80"),
        ("https://a.example.com/x", None),
        ("https://a.example.com/x/", None),
        ("https://a.example.com//", None),
        ("https://a.example.com/?", None),
        ("https://a.example.com?x=1", None),
        ("HTTPS://a.example.com/", None),
        ("urn:example:a", None),
        ("com.example.a://x/", None),
        ("https:///", None),
    ],
)
def test_other_spelling_when_there_is_no_path(uri, other):
    assert other_spelling(uri) == other
