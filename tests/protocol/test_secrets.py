import re

import pytest

from delegation_app.protocol import secrets

BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


@pytest.mark.conformance("GEN-12")
@pytest.mark.parametrize(
    ("make", "length"),
    [
        (secrets.new_secret, 43),
        (secrets.new_opaque_token, secrets.OPAQUE_LENGTH),
        (secrets.new_token_id, 27),
    ],
)
def test_secrets_when_a_thousand_are_made_then_all_differ_and_share_nothing(make, length):
    made = {make() for _ in range(1000)}

    assert len(made) == 1000
    assert {len(value) for value in made} == {length}
    assert all(BASE64URL.fullmatch(value) for value in made)
    for position in range(length - 1):
        assert len({value[position] for value in made}) > 40


def test_successor_when_derived_again_then_the_same_and_only_under_that_key():
    key = secrets.derive_key("site secret", "refresh-successor")
    other = secrets.derive_key("site secret", "something else")

    assert secrets.successor(key, "r0") == secrets.successor(key, "r0")
    assert secrets.successor(key, "r0") != secrets.successor(key, "r1")
    assert secrets.successor(key, "r0") != secrets.successor(other, "r0")
    assert len(secrets.successor(key, "r0")) == 43


def test_hint_when_logged_then_it_is_eight_characters_of_the_digest():
    assert secrets.hint("secret") == secrets.digest("secret")[:8]
