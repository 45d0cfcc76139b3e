"""Every address x every role, against `permission_matrix.txt`."""

from collections import Counter
from contextlib import nullcontext

import pytest

from delegation_app.models import AuditEvent
from tests.support import site_map
from tests.support.answers import stored

pytestmark = pytest.mark.any_database

REFUSED = {"in", "400", "401", "403", "404", "405"}
SIGN_OUT = {"logout", "admin:logout"}


@pytest.fixture
def town(world):
    return site_map.Town(world)


def test_table_when_compared_with_the_urls_then_none_is_missing_and_none_is_left_over():
    names = [name for name, _ in site_map.patterns()]
    assert [name for name in names if not site_map.listed(name)] == []
    used = {line.name for name in names for line in site_map.listed(name)}
    assert [line.name for line in site_map.lines() if line.name not in used] == []
    twice = Counter((line.name, line.of) for line in site_map.lines())
    assert [line for line, count in twice.items() if count > 1] == []


@pytest.mark.parametrize("role", site_map.ROLES)
def test_address_when_somebody_of_a_role_asks_then_the_table_holds(town, role):
    wrong, before = [], stored()
    for line, address in town.addresses():
        for method in ("get", "post"):
            expected = getattr(line, method)[role]
            # Who signs out is sent to sign in, and that is a deed
            harmless = method == "get" or (expected in REFUSED and line.name not in SIGN_OUT)
            newest = AuditEvent.objects.latest("pk").pk
            # What is harmless stays, so that the rows need to be compared only once
            with nullcontext() if harmless else site_map.undone():
                found = site_map.told(getattr(town, method)(role, address))
                if found in REFUSED or method == "get":
                    new = AuditEvent.objects.filter(pk__gt=newest).exclude(event="request.refused")
                    wrong += [f"{method} {address}: {event.event}" for event in new]
            if found != expected and not (expected == "any" and int(found) < 500):
                wrong.append(f"{method} {address} ({line.name}): {found}, not {expected}")
    assert wrong == []
    # Nor did any of them write a row of which no event tells
    after = stored()
    assert [table for table in before if after[table] != before[table]] == []


@pytest.mark.parametrize("token", ["", "u" * 32], ids=["none", "another browser's"])
def test_form_when_its_csrf_token_is_missing_or_anothers_then_nothing_is_done(town, token):
    """403; or what everybody is told who has no business there, for whom no cookie counts."""
    wrong, before = [], stored()
    for line, address in town.addresses():
        found = site_map.told(town.post("superuser", address, token=token))
        if found != "403" and not (found in {"401", "405"} and line.post["nobody"] == found):
            wrong.append(f"{address}: {found}")
    assert wrong == []
    assert stored() == before
