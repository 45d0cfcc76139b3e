"""“Who could act?” as a page."""

from datetime import timedelta

import pytest
from django.utils import timezone

from delegation_app.models import Delegation
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from tests.admin.conftest import page, person, text_of
from tests.support import SecureClient

AS_OF = "/admin/delegation_app/auditevent/as-of/"


def asked(browser, moment=None, **query):
    local = timezone.localtime(moment or timezone.now())
    return browser.get(AS_OF, {"person": "alice", "when": f"{local:%Y-%m-%dT%H:%M:%S}", **query})


@pytest.fixture
def an_hour_ago(forest):
    """A tree that was there an hour ago, and was revoked since."""
    now = timezone.now()
    Delegation.objects.update(issued_at=now - timedelta(hours=2))
    revocation.subtree(forest.root, audit.RequestContext(), reason="over")
    Delegation.objects.update(revoked_at=now - timedelta(minutes=30))
    return now - timedelta(hours=1)


def test_as_of_when_asked_then_each_line_says_who_by_way_of_whom_and_what_proves_it(
    forest, auditor, an_hour_ago
):
    html = text_of(asked(auditor, an_hour_ago))
    for row in (forest.root, forest.middle, forest.leaf):
        assert page("delegation", "change", row.pk) in html
    assert "through web → service-a" in html
    assert html.count("audit-as-yes") == 3
    assert "Delegation revoked" in html
    assert "Only audited changes are considered." in html
    assert "no client could act" in text_of(asked(auditor))


def test_as_of_when_narrowed_to_a_client_then_the_others_are_gone(forest, auditor, an_hour_ago):
    only = asked(auditor, an_hour_ago, client="service-b", scope="read:metrics")
    assert len(only.context["lines"]) == 1
    assert asked(auditor, an_hour_ago, scope="read:profile").context["lines"] == []


@pytest.mark.parametrize(
    "query", [{"when": "2999-01-01T00:00"}, {"when": "noon"}, {"person": ""}, {"person": "\x00"}]
)
def test_as_of_when_it_can_not_be_read_then_it_says_so(auditor, query):
    html = text_of(asked(auditor, **query))
    assert "errorlist" in html
    assert "as far as it is on record" not in html


def test_as_of_when_somebody_may_not_see_delegations_then_403(db):
    user = person("auditor")
    user.user_permissions.remove(user.user_permissions.get(codename="view_delegation"))
    client = SecureClient()
    client.force_login(user)
    assert client.get(AS_OF).status_code == 403


def unknown(response):
    html = text_of(response)
    assert "as far as it is on record" not in html
    return html


def test_as_of_when_the_person_does_not_exist_then_it_says_so_and_whom_it_may_be(forest, auditor):
    html = unknown(asked(auditor, person="ali"))
    assert "There is no user or client with the name or id ali" in html
    assert "Did you mean alice?" in html


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"person": "Web"}, "Did you mean web?"),
        ({"client": "Web"}, "There is no client with the id Web. Did you mean web?"),
        ({"client": "wbe"}, "There is no client with the id wbe. Did you mean web?"),
        ({"scope": "read:metric"}, "No resource server knows the scope read:metric now."),
        ({"person": "user:4711"}, "There is no user or client with the subject user:4711."),
        ({"person": "<b>ali"}, "There is no user or client with the name or id &lt;b&gt;ali"),
    ],
)
def test_as_of_when_a_name_does_not_exist_then_nobody_is_not_the_answer(
    forest, auditor, query, sentence
):
    assert sentence in unknown(asked(auditor, **query))


def test_as_of_when_everything_exists_then_nobody_is_the_answer(forest, auditor):
    for query in ({"person": "bob"}, {"client": "cron"}, {"scope": "delete:alerts"}):
        assert "According to the records, no client could act." in text_of(asked(auditor, **query))


def test_as_of_when_people_may_not_be_seen_then_only_those_on_record_are_named(forest):
    user = person("auditor")
    user.user_permissions.remove(user.user_permissions.get(codename="view_user"))
    client = SecureClient()
    client.force_login(user)
    assert "Did you mean alice?" in unknown(asked(client, person="ali"))
    assert "bob" not in unknown(asked(client, person="bo"))
