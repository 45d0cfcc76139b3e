import pytest

from delegation_app.protocol.audience import Audience, is_absolute_uri, other_spelling
from delegation_app.protocol.errors import InvalidTarget


@pytest.mark.parametrize(
    "uri",
    ["https://a.example.com", "https://a.example.com/x?y=1", "urn:example:a", "https://[::1]:8/"],
)
def test_audience_when_uri_is_absolute_then_taken(uri):
    assert is_absolute_uri(uri)
    assert list(Audience.parse([uri])) == [uri]


@pytest.mark.parametrize(
    "uri",
    ["", "/api", "a", "//host/x", "https://a/#f", "https://a/#", "https://a b", "https://é", "1:a"],
)
def test_audience_when_uri_is_relative_or_has_a_fragment_then_invalid_target(uri):
    with pytest.raises(InvalidTarget):
        Audience.parse([uri])


def test_audience_when_one_then_claim_is_a_string_else_an_array():
    assert Audience(["https://a"]).claim() == "https://a"
    assert Audience(["https://b", "https://a"]).claim() == ["https://a", "https://b"]


def test_audience_when_compared_then_by_its_members():
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
def test_other_spelling_when_there_is_no_path_then_with_or_without_the_slash(uri, other):
    assert other_spelling(uri) == other
