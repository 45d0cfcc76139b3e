import base64
import re
import secrets as stdlib_secrets
import string
import time
from collections import Counter

import pytest
from django.utils.crypto import get_random_string
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol import pkce, secrets
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.protocol.user_code import ALPHABET, new_user_code, normalised

pytestmark = [pytest.mark.any_database, pytest.mark.compat]

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
def test_secrets_when_a_thousand_are_made(make, length):
    made = {make() for _ in range(1000)}
    assert len(made) == 1000
    assert {len(value) for value in made} == {length}
    assert all(BASE64URL.fullmatch(value) for value in made)
    for position in range(length - 1):
        assert len({value[position] for value in made}) > 40


def test_successor_when_derived_again():
    key = secrets.derive_key("site secret", "refresh-successor")
    other = secrets.derive_key("site secret", "something else")
    assert secrets.successor(key, "r0") == secrets.successor(key, "r0")
    assert secrets.successor(key, "r0") != secrets.successor(key, "r1")
    assert secrets.successor(key, "r0") != secrets.successor(other, "r0")
    assert len(secrets.successor(key, "r0")) == 43


def test_hint_when_logged():
    assert secrets.hint("secret") == secrets.digest("secret")[:8]


ALPHANUMERIC = string.ascii_letters + string.digits
# As the generators wrote them once, so that no run is unlucky
OURS = "qD3vWm0ZkT-9xRb7Lf_uYc5HsJ2nPa8EwGtXo4iVdQM"
TOOLKITS = (
    "kJ8sQ2mVz0Xc7LrT5bYp3NwGf9HdUa1EoRi6KtMx4ZqWlBvCjPnSgDyFhAeIuO"
    "7T2kXw9QbLm4VzRc0NpJs8HfYg5UdGa3EtKi6WoMqZl1BvCxPjSnDyrFhAeIuO8kQ5"
)


@pytest.mark.parametrize(
    ("text", "generated"), [(OURS, 0), (OURS, 128), (TOOLKITS, 128), (TOOLKITS[:40], 40)]
)
def test_is_random_when_a_generator_made_it(text, generated):
    assert secrets.is_random(text, generated=generated)


def test_is_random_when_many_are_made():
    made = [secrets.new_secret() for _ in range(2000)]
    of_toolkit = [get_random_string(128, ALPHANUMERIC) for _ in range(500)]
    assert sum(secrets.is_random(text, generated=0) for text in made) > 1950
    assert all(secrets.is_random(text, generated=128) for text in of_toolkit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a" * 43,
        "a" * 128,
        "my-very-long-secret-for-the-cron-client-xyQ",
        "CorrectHorseBatteryStaple1CorrectHorseBattE",
        "TheQuickBrownFoxJumpsOverTheLazyDog-123456Q",
        "P4ssw0rd-P4ssw0rd-P4ssw0rd-P4ssw0rd-P4ssw0Q",
        "0123456789" * 4 + "012",
        "password" * 16,
        "Password1" * 14 + "ab",
        "ThisIsTheSecretOfTheCronClientAndItIsSoLongThatNobodyGuessesIt" * 2,
        string.ascii_uppercase + string.ascii_lowercase[:17],
        # Random, of another length or alphabet than any generator here writes
        OURS[:42],
        OURS + "A",
        "0b1c6ee8f2a94d1f8a7d3e5c9b20f4716c3da8e5f90b7142",
        OURS[:20] + "é" + OURS[21:],
        OURS[:20] + "!" + OURS[21:],
        # 16 characters of the toolkit's generator, set to so few by the site
        TOOLKITS[:16],
    ],
)
def test_is_random_when_it_may_have_been_typed(text):
    assert not secrets.is_random(text, generated=len(text) if len(text) != 43 else 0)


@pytest.mark.parametrize(
    "text",
    [
        "delete:everything", "https://service-a.example/v1/metrics/hour24/latest", "Mozilla/5.0",
        "America/Argentina/Buenos_Aires", "application/x-www-form-urlencoded", "HTTP/1.1 GET POST",
        "/things/1b4e28ba-2fa1-41d2-883f-0016d3cca427/parts", "python-requests/2.32",
        "urn:ietf:params:oauth:grant-type:token-exchange", "a-name-that-is-longer-than-others",
    ],
)  # fmt: skip
def test_masked_when_text_holds_no_secret(text):
    assert secrets.masked(text) == text


@pytest.mark.parametrize(
    "code",
    ["WDJB-MJHT", "wdjb mjht", "WDJB.MJHT", "WDJBMJHT", "W D J B M J H T", "WD JB MJ HT",
     "WDJB_MJHT", "WDJB \u2013 MJHT", "wdjb-mjht-is-what-the-device-shows",
     "/oauth/device/WDJB-MJHT/Code1"],
)  # fmt: skip
def test_masked_when_text_is_a_user_code(code):
    assert secrets.masked(f"code={code}.") == "code=[masked]."


def test_masked_when_text_is_long():
    # By its square it would be minutes
    for text in ("eyJ" * 300_000, "a/" * 400_000, "b c " * 200_000, "aB+" * 300_000):
        started = time.process_time()
        secrets.masked(text)
        assert time.process_time() - started < 5


@pytest.mark.parametrize("alphabet", ["standard", "urlsafe"])
def test_masked_when_text_is_random_base64(alphabet):
    encode = {"standard": base64.b64encode, "urlsafe": base64.urlsafe_b64encode}[alphabet]
    for size in (20, 32, 40):
        made = [encode(stdlib_secrets.token_bytes(size)).decode() for _ in range(500)]
        for one in made:
            # A few have what could be a user code in them
            shown = {f"x: [masked {secrets.hint(one)}]", "x: [masked]"}
            assert secrets.masked(f"x: {one}") in shown


letters = st.text(ALPHABET, min_size=8, max_size=8)


@pytest.mark.conformance("DV-08")
def test_codes_when_drawn():
    codes = {new_user_code() for _ in range(2000)}
    assert len(codes) == 2000
    assert all(
        re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", c) for c in codes
    )
    seen = Counter("".join(codes).replace("-", ""))
    assert seen.keys() == set(ALPHABET)
    # 16 000 letters of 20: each about 800 times
    assert min(seen.values()) > 640
    assert max(seen.values()) < 960


@pytest.mark.conformance("DV-08")
@pytest.mark.parametrize(
    "typed",
    [
        "WDJB-MJHT", "wdjbmjht", "WDJBMJHT", "wdjb-mjht", " wdjb mjht ", "w d j b - m j h t",
        "wd-jb-mj-ht", "WDJB\u2013MJHT", "WDJB\u00a0MJHT", "-WDJBMJHT-",
    ],
)  # fmt: skip
def test_code_when_typed_in_any_way(typed):
    assert normalised(typed) == "WDJB-MJHT"


@pytest.mark.parametrize(
    "typed",
    [
        "", "-", "WDJB-MJH", "WDJB-MJHTT", "WDJA-MJHT", "WDJ8-MJHT", "WDJB_MJHT",
        "WDJB-MJHT\x00", "WDJB-MJH\u017f", "\u0174DJB-MJHT", "\uff37DJB-MJHT",
        "WDJB-MJHT" * 100_000, " " * 1_000_000 + "WDJB-MJHT",
    ],
    ids=lambda typed: ascii(typed[:20]),
)  # fmt: skip
def test_text_when_it_is_anything_else(typed):
    assert normalised(typed) is None


@given(letters, st.booleans(), st.lists(st.integers(0, 8), max_size=6))
def test_code_when_cut_by_hyphens_and_spaces(code, lower, cuts):
    typed = code.lower() if lower else code
    for number, cut in enumerate(cuts):
        typed = typed[:cut] + "- "[number % 2] + typed[cut:]
    assert normalised(typed) == f"{code[:4]}-{code[4:]}"


@given(st.text(max_size=40))
def test_text_when_it_is_a_code(typed):
    once = normalised(typed)
    assert once is None or normalised(once) == once


VERIFIER = st.text(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", min_size=43, max_size=128
)


@given(VERIFIER, VERIFIER)
def test_verifier_when_compared(one, two):
    challenge = pkce.challenge_for(one)
    assert pkce.check_challenge(challenge, "S256") == challenge
    assert pkce.proves(one, challenge)
    assert pkce.proves(two, challenge) == (one == two)


@given(st.none() | st.text(max_size=200))
def test_verifier_when_arbitrary(verifier):
    assert pkce.proves(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM") is False


@pytest.mark.parametrize("method", [None, "plain", "s256", "S256 ", "S512"])
def test_challenge_when_method_is_not_s256(method):
    with pytest.raises(InvalidRequest, match="S256"):
        pkce.check_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", method)
