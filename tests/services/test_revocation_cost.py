"""What a revocation writes, however large the tree: its delegations, an event, and no token."""

import pytest
from django.db import connection, transaction
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from delegation_app.models import (
    AccessToken,
    AuditEvent,
    AuthorizationCode,
    Delegation,
    RefreshToken,
)
from delegation_app.services import audit
from delegation_app.services.delegations import revocation, selection
from delegation_app.services.delegations.selection import preview
from tests.support import forest
from tests.support.world import delegation_of

OPERATOR = audit.RequestContext("user:99")
TOKENS = (AccessToken, RefreshToken, AuthorizationCode)
WRITTEN = {"revoked_at", "revoked_by", "revocation_reason", "last_used_at", "uses"}


def statements(act):
    with CaptureQueriesContext(connection) as captured:
        act()
    return [query["sql"] for query in captured]


def tokens_stored():
    """Every column of every row that is a code or a token."""
    return [list(model.objects.order_by("pk").values_list()) for model in TOKENS]


def grown(story, children):
    """A root with children and a token on each of them."""
    top = delegation_of(story.tokens())
    tree = Delegation.objects.filter(root=top.root_id)
    forest.grow(tree.filter(pk=top.pk), children, story.world.service_a_client.row)
    forest.hang_tokens(AccessToken.objects.get(delegation=top), tree, 1)
    return top


@pytest.fixture
def story(transactional_db, story):
    return story


def test_subtree_when_it_has_1_or_1000_children_then_the_statements_are_the_same(story):
    small, large = grown(story, 1), grown(story, 1000)

    few = statements(lambda: revocation.subtree(small, OPERATOR, reason="test"))
    many = statements(lambda: revocation.subtree(large, OPERATOR, reason="test"))

    # PostgreSQL holds the pair with a statement; SQLite has one writer anyway
    assert len(few) == len(many) <= 6 + (connection.vendor == "postgresql"), many
    assert Delegation.objects.filter(revoked_at=None).count() == 0


def test_subtree_when_it_has_tokens_then_an_event_is_added_and_no_token_row_changes(story):
    top = grown(story, 200)
    tokens, events = tokens_stored(), AuditEvent.objects.count()

    ended = revocation.subtree(top, OPERATOR, reason="test")

    assert ended == 201
    assert AuditEvent.objects.count() == events + 1
    assert tokens_stored() == tokens


@pytest.mark.parametrize("deed", ["of_user", "of_client"])
def test_whole_when_there_are_1_or_100_trees_then_the_statements_are_the_same(story, deed):
    whose = {"of_user": story.world.alice, "of_client": story.world.web.row}[deed]
    top = grown(story, 3)
    few = statements(lambda: getattr(revocation, deed)(whose, OPERATOR, reason="test"))
    like = delegation_of(story.tokens())
    forest.plant(like, 99, "more")
    roots = Delegation.objects.filter(revoked_at=None, depth=0)
    forest.grow(roots, 3, story.world.service_a_client.row)
    tokens, events = tokens_stored(), AuditEvent.objects.count()

    many = statements(lambda: getattr(revocation, deed)(whose, OPERATOR, reason="test"))

    # SQLite takes 999 values at a time, so a hundred events are two statements there
    assert len(many) <= len(few) + (connection.vendor == "sqlite"), many
    assert AuditEvent.objects.count() == events + 100
    assert tokens_stored() == tokens
    assert Delegation.objects.filter(root=top.root_id).count() == 4
    assert not Delegation.objects.filter(revoked_at=None).exists()


def test_preview_when_it_counts_then_each_table_is_read_once(story):
    top = grown(story, 50)
    asked = statements(lambda: preview([selection.subtree(top)]))
    assert len(asked) == 3, asked


def test_indexes_when_a_revocation_writes_then_none_of_them_has_to_change():
    """PostgreSQL leaves every index alone if no column of any, nor of its condition, changes."""
    meta = Delegation._meta
    indexed = {field.name for field in meta.fields if field.db_index or field.unique}
    for index in meta.indexes:
        indexed |= {name.lstrip("-") for name in index.fields}
        if index.condition is not None:
            indexed |= {leaf[0].split("__")[0] for leaf in leaves(index.condition)}
    assert not indexed & WRITTEN


def leaves(condition):
    for child in condition.children:
        yield from leaves(child) if isinstance(child, Q) else [child]


@pytest.mark.postgresql
def test_rows_when_a_tree_is_revoked_then_no_index_is_written(story):
    top = grown(story, 300)
    with transaction.atomic():
        # The test's own transaction has issued a token before, which is a use
        updates_before, without_index_before = row_updates()
        revocation.subtree(top, OPERATOR, reason="the person left the company")
        updates, without_index = row_updates()
    assert updates - updates_before == 301
    assert without_index - without_index_before == 301


def row_updates():
    """How many rows the transaction has updated, and how many of them without an index entry."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = %s",
            [Delegation._meta.db_table],
        )
        return cursor.fetchone()
