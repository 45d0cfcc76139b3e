"""The code that people type: RFC 8628 section 6.1."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.user_code import ALPHABET, new_user_code, normalised

letters = st.text(ALPHABET, min_size=8, max_size=8)


@pytest.mark.conformance("DV-08")
def test_codes_when_drawn_then_they_are_eight_unambiguous_consonants_and_all_occur():
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
        "WDJB-MJHT",
        "wdjbmjht",
        "WDJBMJHT",
        "wdjb-mjht",
        " wdjb mjht ",
        "w d j b - m j h t",
        "wd-jb-mj-ht",
        "WDJB\u2013MJHT",
        "WDJB\u00a0MJHT",
        "-WDJBMJHT-",
    ],
)
def test_code_when_typed_in_any_way_then_it_is_the_same(typed):
    assert normalised(typed) == "WDJB-MJHT"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "-",
        "WDJB-MJH",
        "WDJB-MJHTT",
        "WDJA-MJHT",
        "WDJ8-MJHT",
        "WDJB_MJHT",
        "WDJB-MJHT\x00",
        "WDJB-MJH\u017f",
        "\u0174DJB-MJHT",
        "\uff37DJB-MJHT",
        "WDJB-MJHT" * 100_000,
        " " * 1_000_000 + "WDJB-MJHT",
    ],
    ids=lambda typed: ascii(typed[:20]),
)
def test_text_when_it_is_anything_else_then_it_is_no_code(typed):
    assert normalised(typed) is None


@given(letters, st.booleans(), st.lists(st.integers(0, 8), max_size=6))
def test_code_when_cut_by_hyphens_and_spaces_then_it_is_the_same(code, lower, cuts):
    typed = code.lower() if lower else code
    for number, cut in enumerate(cuts):
        typed = typed[:cut] + "- "[number % 2] + typed[cut:]
    assert normalised(typed) == f"{code[:4]}-{code[4:]}"


@given(st.text(max_size=40))
def test_text_when_it_is_a_code_then_saying_it_again_changes_nothing(typed):
    once = normalised(typed)
    assert once is None or normalised(once) == once
