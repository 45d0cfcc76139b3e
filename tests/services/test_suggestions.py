"""A name that does not exist: it is said so, with what may have been meant."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from delegation_app import toolkit
from delegation_app.services import name_suggestions
from delegation_app.services.name_suggestions import SuggestionScope, VisibilityScope
from tests.support.world import delegation_of

ALL = VisibilityScope()
ON_RECORD = VisibilityScope(SuggestionScope.ON_RECORD, SuggestionScope.ON_RECORD)
NONE = VisibilityScope(SuggestionScope.NONE, SuggestionScope.NONE)


@pytest.mark.parametrize(
    ("term", "meant"),
    [
        ("ali", "alice"),
        ("Alice", "alice"),
        ("ALI", "alice"),
        ("alcie", "alice"),
        ("alicee", "alice"),
        ("bobb", "bob"),
        ("Web", "web"),
        ("webb", "web"),
        ("WEB", "web"),
        ("cro", "cron"),
    ],
)
def test_party_when_mistyped_then_what_may_be_meant_is_named(world, term, meant):
    sentence = name_suggestions.of_party(term, ALL)
    assert f"There is no user or client with the name or id {term}" in sentence
    assert f" {meant}" in sentence.partition("Did you mean")[2]


def test_party_when_the_name_of_a_client_is_typed_then_its_id_is_named(world):
    world.web.row.name = "Wonderful Metrics"
    world.web.row.save()
    assert name_suggestions.of_party("wonderful", ALL).endswith("Did you mean web?")
    assert name_suggestions.of_client("Wonderful Metrics", ALL).endswith("Did you mean web?")


@pytest.mark.parametrize("term", ["zzz", "z" * 300, "%", "_", "a%", "\\", "user:99999", "client:x"])
def test_party_when_nothing_is_like_it_then_only_that_is_said(world, term):
    sentence = name_suggestions.of_party(term, ALL)
    assert sentence.startswith("There is no user or client")
    assert "Did you mean" not in sentence


@pytest.mark.parametrize("term", [f"user:{'9' * 40}", f"client:{'9' * 40}", "user:", "user:x"])
def test_party_when_the_subject_is_hostile_then_it_is_unknown(world, term):
    assert "Did you mean" not in name_suggestions.of_party(term, ALL)


def test_party_when_it_exists_or_existed_then_nothing_is_said(story, world):
    delegation_of(story.tokens())
    assert name_suggestions.of_party("alice", ALL) == ""
    assert name_suggestions.of_party(f"user:{world.bob.pk}", ALL) == ""
    assert name_suggestions.of_party("web", ALL) == ""
    assert name_suggestions.of_party("client:mobile", ALL) == ""
    key = world.alice.pk
    world.alice.delete()
    world.web.row.delete()
    # Records outlive them
    assert name_suggestions.of_party(f"user:{key}", ALL) == ""
    assert name_suggestions.of_client("web", ALL) == ""


def test_names_when_the_reader_may_not_see_them_then_they_are_not_told(story):
    story.tokens()
    # alice lets web act, bob lets nobody
    assert "alice" in name_suggestions.of_party("ali", ON_RECORD)
    assert "Did you mean" not in name_suggestions.of_party("bo", ON_RECORD)
    assert "Did you mean" not in name_suggestions.of_party("ali", NONE)
    assert "web" in name_suggestions.of_client("we", ON_RECORD).partition("?")[0]
    assert "Did you mean" not in name_suggestions.of_client("cro", ON_RECORD)
    assert "Did you mean" not in name_suggestions.of_client("Cron", ON_RECORD)


def test_scope_when_it_is_mistyped_then_a_known_one_is_named(world):
    assert name_suggestions.of_scope("read:metrics") == ""
    assert name_suggestions.of_scope("read:metric").endswith("Did you mean read:metrics?")
    assert "Did you mean" not in name_suggestions.of_scope("nothing of the kind")


def test_suggestions_when_there_are_many_people_then_a_few_are_named_and_few_are_read(world):
    users = get_user_model()
    users.objects.bulk_create(users(username=f"alison{number:04}") for number in range(2000))
    with CaptureQueriesContext(connection) as captured:
        sentence = name_suggestions.of_party("aliso", ALL)
    assert sentence.count("alison") == 3
    assert len(captured) <= 24
    statements = [query["sql"] for query in captured if "username" in query["sql"]]
    assert all("LIMIT" in sql for sql in statements)


@pytest.mark.sqlite
def test_suggestions_when_asked_then_an_index_is_read(world):
    with CaptureQueriesContext(connection) as captured:
        name_suggestions.of_party("aliso", ALL)
    application = toolkit.application_model()._meta.db_table
    for query in captured:
        sql = query["sql"]
        if "auth_user" in sql and "username" in sql:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
                plan = " ".join(str(row) for row in cursor.fetchall())
            assert "SCAN auth_user" not in plan, plan
            assert f"SCAN {application}" not in plan
