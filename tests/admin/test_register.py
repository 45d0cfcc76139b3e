"""The list of delegations: its pages, its filters, and how far one look goes."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from delegation_app.models import Delegation
from delegation_app.services import limits
from delegation_app.services.delegations.filters import DelegationFilter
from tests.admin.conftest import page, text_of
from tests.admin.test_queries import add
from tests.support import SecureClient

LIST = page("delegation", "changelist")


def listed(client, query=""):
    return [row.pk for row in client.get(f"{LIST}{query}").context["cl"].result_list]


def newest():
    return list(Delegation.objects.order_by("-issued_at", "-pk").values_list("pk", flat=True))


def aged(days, **changes):
    """Make the newest delegation older, and change it otherwise."""
    row = Delegation.objects.latest("pk")
    when = timezone.now() - timezone.timedelta(days=days)
    Delegation.objects.filter(pk=row.pk).update(issued_at=when, **changes)
    return row.pk


def test_list_when_leafed_through_then_each_is_shown_once_in_both_directions(world, operator):
    add(world, 120)
    pages, query = [], ""
    for _ in range(3):
        changelist = operator.get(f"{LIST}{query}").context["cl"]
        pages.append([row.pk for row in changelist.result_list])
        query = changelist.older
    assert [len(some) for some in pages] == [50, 50, 20]
    assert [*pages[0], *pages[1], *pages[2]] == newest()
    assert query == ""
    for expected in (pages[1], pages[0]):
        changelist = operator.get(f"{LIST}{changelist.newer}").context["cl"]
        assert [row.pk for row in changelist.result_list] == expected


@pytest.mark.parametrize("text", ["x", "~", "o1-1", "o1-1~x", "o1-1~"])
def test_list_with_a_forged_cursor_begins_anew(world, operator, text):
    add(world, 1)
    response = operator.get(LIST, {"at": text}, follow=True)
    assert response.redirect_chain == [(f"{LIST}?e=1", 302)]


def test_list_with_the_cursor_of_another_filter_begins_anew(world, operator):
    add(world, 60)
    older = operator.get(f"{LIST}?state=live").context["cl"].older
    assert operator.get(f"{LIST}{older}").status_code == 200
    foreign = operator.get(f"{LIST}{older.replace('state=live', 'state=revoked')}", follow=True)
    assert foreign.redirect_chain == [(f"{LIST}?e=1", 302)]


def test_list_when_a_filter_reads_a_part_of_the_table_then_it_says_so_and_goes_on(
    world, operator, monkeypatch
):
    monkeypatch.setattr(limits, "MAX_SCANNED", 2)
    add(world, 5)
    oldest = newest()[-1]
    Delegation.objects.filter(pk=oldest).update(grant_type="client_credentials")
    query, found = "?grant=client_credentials", []
    for _ in range(3):
        response = operator.get(f"{LIST}{query}")
        found += [row.pk for row in response.context["cl"].result_list]
        if response.context["cl"].looked_to is not None:
            assert "Search further back" in text_of(response)
        query = response.context["cl"].older
    assert found == [oldest]
    assert query == ""


def test_list_when_many_have_the_name_then_it_reads_the_table_in_order(
    world, operator, monkeypatch
):
    monkeypatch.setattr(limits, "MAX_INDEXED", 1)
    add(world, 4)
    Delegation.objects.update(delegate_client_id="same")
    assert listed(operator, "?client=same") == newest()
    assert listed(operator, "?client=same&state=live") == newest()


def test_filters_when_chosen_then_each_keeps_its_own(world, operator):
    now = timezone.now()
    add(world, 1)
    old = aged(100)
    add(world, 1, start=1)
    used = aged(40, last_used_at=now)
    add(world, 1, start=2)
    idle = aged(400, last_used_at=now - timezone.timedelta(days=200))
    add(world, 1, start=3)
    child = aged(0, parent=old, depth=1)
    for query, expected in {
        "?age=day": [child],
        "?age=over-quarter": [old, idle],
        "?age=over-year": [idle],
        "?used=never": [child, old],
        "?used=day": [used],
        "?used=not-quarter": [old, idle],
        "?children=yes": [old],
        "?children=no": [child, used, idle],
        "?from=chained": [child],
        "?client=app1": [used],
        "?client=app1&age=day": [],
        "?client=": [child, used, old, idle],
    }.items():
        assert listed(operator, query) == expected, query


def test_chosen_when_it_travels_as_json_then_it_stays_the_same():
    chosen = DelegationFilter(
        term="x", issued_before=timezone.now(), has_children=False, never_used=True
    )
    assert DelegationFilter.from_json(chosen.as_json()) == chosen
    assert DelegationFilter().as_json() == {}


def test_client_when_picked_by_key_then_the_address_has_its_id(world, operator):
    add(world, 2)
    row = Delegation.objects.get(delegate_client_id="app1").delegate
    response = operator.get(LIST, {"client_key": row.pk, "state": "live"})
    assert response["Location"] == f"{LIST}?state=live&client=app1"
    for key in ("4711", "x", "\x00"):
        assert operator.get(LIST, {"client_key": key})["Location"] == f"{LIST}?"


def test_list_when_open_then_people_and_clients_are_links_and_no_client_is_loaded(
    world, operator, django_user_model
):
    add(world, 3)
    html = text_of(operator.get(LIST))
    row = Delegation.objects.get(delegate_client_id="app1")
    assert page("user", "change", row.principal_user_id, app="auth") in html
    assert page("application", "change", row.delegate_id, app="oauth2_provider") in html
    assert "person1 lets App1 do read:metrics at Service A" in html
    assert "data-finder" in html
    assert not re.search("<option[^>]*>(App|Web|Other)", html)

    viewer = django_user_model.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_delegation"))
    client = SecureClient()
    client.force_login(viewer)
    html = text_of(client.get(LIST))
    assert "/admin/auth/user/" not in html
    assert "data-finder" not in html
    assert 'name="client"' in html


def test_list_when_a_name_does_not_exist_then_it_says_so(world, operator):
    add(world, 2)
    html = text_of(operator.get(LIST, {"client": "App11"}))
    assert "There is no client with the id App11. Did you mean app1" in html
    assert "Did you mean person0" in text_of(operator.get(LIST, {"q": "persom0"}))
    assert "There is no" not in text_of(operator.get(LIST, {"client": "app1", "state": "revoked"}))
    assert "There is no" not in text_of(operator.get(LIST, {"q": "person"}))
