from urllib.parse import parse_qs

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delegation_app.client.credentials import Credentials
from delegation_app.protocol import names
from delegation_app.protocol.requests.client_auth import read_credentials
from delegation_app.protocol.requests.parameters import Parameters

URL = "https://as.example.com/oauth/token"
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)


def read(request):
    return read_credentials(
        request.headers.get("Authorization"), Parameters.parse(request.body.decode())
    )


@given(text, text)
@example("a+b%41:c d", "ä+b%41:c d&=")
def test_request_when_id_and_secret_are_anything_then_the_server_reads_the_same(name, secret):
    for method in (names.BASIC, names.POST):
        got = read(Credentials(name, secret, method).request(URL, {"grant_type": "x"}))

        assert (got.client_id, got.secret, got.method) == (name, secret, method)


def test_request_when_the_client_is_public_then_it_says_its_name_only():
    request = Credentials("mobile").request(URL, {"grant_type": "x"})

    assert "Authorization" not in request.headers
    assert parse_qs(request.body.decode()) == {"grant_type": ["x"], "client_id": ["mobile"]}


def test_request_when_a_secret_goes_in_the_header_then_it_is_not_in_the_body_as_well():
    request = Credentials("web", "very secret").request(URL, {"grant_type": "x"})

    assert parse_qs(request.body.decode()) == {"grant_type": ["x"]}


def test_representation_when_it_is_logged_then_it_shows_no_secret():
    assert "very secret" not in repr(Credentials("web", "very secret"))


@pytest.mark.parametrize(
    "arguments", [("",), ("web", ""), ("web", "s", "none"), ("web", "s", "private_key_jwt")]
)
def test_credentials_when_they_make_no_sense_then_they_are_refused(arguments):
    with pytest.raises(ValueError, match="client"):
        Credentials(*arguments)
