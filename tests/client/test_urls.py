import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.client import urls

pytestmark = pytest.mark.any_database


@pytest.mark.parametrize(
    "url",
    [
        "https://as.example.com",
        "https://as.example.com:8443/tenant?x=1",
        "http://127.0.0.1:8000/oauth/token",
        "http://127.8.9.10/",
        "http://[::1]:8000/",
        "http://localhost:8000",
    ],
)
def test_is_secure_when_it_is_https_or_this_machine(url):
    assert urls.is_secure(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://as.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://127.1/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://[::ffff:10.0.0.1]/",
        "https://user@as.example.com",
        "https://user:password@as.example.com",
        "https://as.example.com#fragment",
        "https://as.example.com/#",
        "https://",
        "https:///path",
        "https:as.example.com",
        "//as.example.com",
        "ftp://as.example.com",
        "javascript:alert(1)",
        "https://as.example.com\\@evil.example",
        "https://as.example.com/a b",
        "https://as.example.com/\n",
        "\thttps://as.example.com",
        "https://as.example.com:port",
        "https://as.example.com:99999",
        "https://as.example.com:0",
        "https://[::1",
        "https://äs.example.com",
        "https://" + "a" * 2000,
        "",
    ],
)
def test_is_secure_when_it_is_anything_else(url):
    assert not urls.is_secure(url)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://b.example.com/api?x", "https://B.example.com:443"),
        ("http://127.0.0.1", "HTTP://127.0.0.1:80/x"),
    ],
)
def test_origin_of_when_two_urls_have_the_same(one, other):
    assert urls.origin_of(one) == urls.origin_of(other) is not None


@pytest.mark.parametrize(
    "other",
    [
        "http://b.example.com",
        "https://b.example.com:8443",
        "https://b.example.com.evil.example",
        "https://evil.example/b.example.com",
        "https://a.b.example.com",
        "https://evil.example@b.example.com",
    ],
)
def test_origin_of_when_anything_differs(other):
    assert urls.origin_of(other) != urls.origin_of("https://b.example.com")


@given(st.text(max_size=60) | st.text("https:/[]@.:0123456789a%#?", max_size=40))
def test_urls_when_the_text_is_anything(text):
    urls.origin_of(text)
    assert urls.is_secure(text) in {True, False}
