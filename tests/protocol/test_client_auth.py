import base64
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol import names
from delegation_app.protocol.errors import InvalidClient, InvalidRequest, OAuthError
from delegation_app.protocol.requests.client_auth import read_credentials
from delegation_app.protocol.requests.parameters import Parameters

pytestmark = pytest.mark.any_database

NOTHING = Parameters([])
TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), min_size=1)


def basic(client_id, secret):
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
    return "Basic " + base64.b64encode(pair).decode()


@given(TEXT, TEXT)
def test_basic_when_form_encoded(client_id, secret):
    credentials = read_credentials(basic(client_id, secret), NOTHING)
    assert (credentials.client_id, credentials.secret) == (client_id, secret)
    assert credentials.method == names.BASIC


@given(st.text(max_size=80))
def test_header_when_arbitrary(header):
    with pytest.raises(OAuthError) as refused:
        read_credentials(header, NOTHING)
    assert refused.value.code in {"invalid_client", "invalid_request"}


@pytest.mark.parametrize(
    ("fields", "method"),
    [({"client_id": "a", "client_secret": "s"}, names.POST), ({"client_id": "a"}, names.NONE)],
)
def test_body_when_it_names_a_client(fields, method):
    assert read_credentials(None, Parameters(fields.items())).method == method


@pytest.mark.parametrize(
    ("header", "fields", "error"),
    [
        (None, {}, InvalidClient),
        (None, {"client_assertion": "x", "client_id": "a"}, InvalidClient),
        ("Bearer abc", {}, InvalidClient),
        ("Basic !!!", {}, InvalidClient),
        ("Basic " + base64.b64encode(b"no colon").decode(), {}, InvalidClient),
        ("Basic " + base64.b64encode(b":secret").decode(), {}, InvalidClient),
        ("Basic " + base64.b64encode(b"a%00:b").decode(), {}, InvalidClient),
        ("Basic " + base64.b64encode(b"a:b%ff").decode(), {}, InvalidClient),
        (basic("a", "s"), {"client_secret": "s"}, InvalidRequest),
        (basic("a", "s"), {"client_id": "b"}, InvalidRequest),
    ],
)
def test_credentials_when_unusable(header, fields, error):
    with pytest.raises(error):
        read_credentials(header, Parameters(fields.items()))


def test_credentials_when_shown():
    assert "hunter2" not in repr(read_credentials(basic("a", "hunter2"), NOTHING))


def test_header_when_the_secret_is_empty():
    credentials = read_credentials(basic("a", ""), NOTHING)
    assert (credentials.client_id, credentials.secret, credentials.method) == ("a", None, "none")
