import re
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.errors import InvalidRequest, RedirectTarget

pytestmark = pytest.mark.any_database

TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@given(st.text())
def test_description_when_arbitrary(text):
    # RFC 6749 section 5.2
    description = InvalidRequest(text).payload()["error_description"]
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*", description)


@given(TEXT.filter(bool))
def test_redirect_when_state_is_arbitrary(state):
    target = RedirectTarget("https://c.example.com/cb?x=1", state, "https://as.example.com")
    location = target.carrying(code="abc")

    assert location.isascii()
    query = parse_qs(urlsplit(location).query, keep_blank_values=True)
    assert query == {
        "x": ["1"],
        "code": ["abc"],
        "state": [state],
        "iss": ["https://as.example.com"],
    }


def test_redirect_when_there_was_no_state():
    target = RedirectTarget("com.example.app:/cb", None, "https://as.example.com")
    assert target.carrying(error="access_denied") == (
        "com.example.app:/cb?error=access_denied&iss=https%3A%2F%2Fas.example.com"
    )


def test_error_when_raised():
    target = RedirectTarget("https://c.example.com/cb", None, "https://as.example.com")
    error = InvalidRequest("no")
    assert error.redirect is None
    assert error.redirected_to(target).redirect == target
