import contextlib
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.requests.parameters import MAX_FIELDS, MAX_LENGTH, Parameters

pytestmark = pytest.mark.any_database

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1)


@given(st.lists(st.tuples(TEXT, TEXT), max_size=20))
def test_parameters_when_encoded_and_parsed(pairs):
    parsed = Parameters.parse(urlencode(pairs).encode())
    for name, _ in pairs:
        assert parsed.all(name) == tuple(value for sent, value in pairs if sent == name)


@given(st.binary(max_size=300))
def test_parameters_when_bytes_are_arbitrary(raw):
    with contextlib.suppress(InvalidRequest):
        parameters = Parameters.parse(raw)
        assert not any("\x00" in value for value in parameters.all("a"))
        parameters.refuse_repeats()


@pytest.mark.parametrize(
    "encoded",
    ["a=%00", "%00=a", "a=%FF", "a=%ED%A0%80", "a=\u00e9", "a=1" + "&a=1" * MAX_FIELDS],
    ids=["nul", "nul-name", "not-utf-8", "surrogate", "not-encoded", "too-many"],
)
def test_parameters_when_malformed(encoded):
    with pytest.raises(InvalidRequest):
        Parameters.parse(encoded.encode())


def test_parameters_when_too_long():
    with pytest.raises(InvalidRequest, match="longer than"):
        Parameters.parse("a=" + "b" * MAX_LENGTH)


def test_parameters_when_value_is_empty():
    parameters = Parameters.parse("scope=&state=x")
    assert "scope" not in parameters
    assert parameters.get("scope") is None
    with pytest.raises(InvalidRequest, match="scope is missing"):
        parameters.require("scope")


def test_parameters_when_repeated():
    Parameters.parse("resource=a&resource=b&audience=c&audience=d").refuse_repeats()
    repeated = Parameters.parse("x=1&x=1")
    with pytest.raises(InvalidRequest):
        repeated.refuse_repeats()
    with pytest.raises(InvalidRequest):
        repeated.get("x")


def test_parameters_when_cut_to_declared():
    parameters = Parameters.parse(f"code=1&evil={quote_plus('a b')}").only({"code"})
    assert parameters.get("code") == "1"
    assert "evil" not in parameters


def test_parameters_when_one_that_matters_is_not_declared():
    parameters = Parameters.parse("scope=a&foo=1&code_challenge=x")
    parameters.refuse_unsupported({"scope"})
    with pytest.raises(InvalidRequest, match="The parameter scope is not supported here"):
        parameters.refuse_unsupported({"resource"})
    with pytest.raises(InvalidRequest, match="code_challenge"):
        parameters.refuse_unsupported({"scope"}, {"code_challenge"})
    # An empty one is absent
    Parameters.parse("audience=&constraints=").refuse_unsupported(())
