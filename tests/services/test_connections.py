"""What a person's pages read: bounded, in as many statements for many rows as for one."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from delegation_app.models import AccessToken, Delegation
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.connections import actions, detail, facts, listing, timeline
from delegation_app.services.connections.listing import (
    PAGE,
    ConnectionQuery,
    NoSuchConnection,
    Show,
)
from delegation_app.services.delegations.narrowing import Narrowing
from tests.support.chains import Chain, handed_on
from tests.support.connections import ALL, LIST, at
from tests.support.world import claims_of, delegation_of, make_app

COPIED = (
    *("principal_user_id", "delegate_id", "delegate_client_id", "subject", "consent_id"),
    *("scopes", "audience", "grant_type", "expires_at"),
)


def statements(act):
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)


def copies(row, count, **changes):
    """More delegations that say the same, each a second older."""
    made = []
    for number in range(count):
        values = {name: getattr(row, name) for name in COPIED}
        issued_at = row.issued_at - timedelta(seconds=number // 2 + 1)
        made.append(Delegation.objects.create(**{**values, "issued_at": issued_at, **changes}))
    return made


@pytest.mark.parametrize("show", list(Show))
def test_list_when_there_are_many_then_the_statements_are_as_many_as_for_one(story, world, show):
    row = delegation_of(story.tokens())
    address = f"{LIST}?show={show.value}"
    long_ago = timezone.now() - timedelta(days=200)
    Delegation.objects.update(issued_at=long_ago, last_used_at=long_ago)
    row.refresh_from_db()
    assert b"<h2><a" in story.browser.get(address).content
    one = statements(lambda: story.browser.get(address))
    for number, copy in enumerate(copies(row, 40)):
        app = make_app(f"app{number}", grants=(), audiences=[]).row
        Delegation.objects.filter(pk=copy.pk).update(delegate=app, delegate_client_id=app.client_id)
    assert statements(lambda: story.browser.get(address)) == one
    assert one <= 11


def test_page_when_the_tree_is_large_then_the_statements_are_as_many_as_for_a_small_one(story):
    chain = Chain(story)
    root, child = chain.rows[0], chain.rows[1]
    addresses = [at(root), at(child), at(root, "end"), at(root, "narrow"), ALL]
    for address in addresses:
        story.browser.get(address)
    few = [statements(lambda address=address: story.browser.get(address)) for address in addresses]
    copies(child, 150, parent=child)
    many = [statements(lambda address=address: story.browser.get(address)) for address in addresses]
    assert many == few
    assert max(few) <= 17


def test_pages_when_leafed_through_then_each_is_seen_once_and_back_again(story, world):
    row = delegation_of(story.tokens())
    copies(row, 60)
    seen, forth, chosen = [], [], ConnectionQuery()
    while True:
        page = listing.page(world.alice, chosen)
        forth.append([found.key for found in page.rows])
        seen += forth[-1]
        if not page.older:
            break
        chosen = ConnectionQuery(cursor=page.older)
    newest = Delegation.objects.order_by("-issued_at", "-pk").values_list("public_id", flat=True)
    assert seen == [str(key) for key in newest]
    assert [len(keys) for keys in forth] == [PAGE, PAGE, 11]
    assert page.newer
    back = []
    while page.newer:
        page = listing.page(world.alice, ConnectionQuery(cursor=page.newer))
        back.insert(0, [found.key for found in page.rows])
    assert back == forth[:-1]


def test_pages_when_one_is_full_then_there_is_no_empty_one_behind_it(story, world):
    copies(delegation_of(story.tokens()), PAGE - 1)
    page = listing.page(world.alice, ConnectionQuery())
    assert (len(page.rows), page.newer, page.older) == (PAGE, None, None)


def test_owned_when_the_id_is_written_in_another_way_then_it_is_none(story, world):
    row = delegation_of(story.tokens())
    key = str(row.public_id)
    assert listing.owned(world.alice, key) == row
    for other in (key.upper(), key.replace("-", ""), f"{{{key}}}", f"urn:uuid:{key}", "", "x" * 99):
        with pytest.raises(NoSuchConnection):
            listing.owned(world.alice, other)
    with pytest.raises(NoSuchConnection):
        listing.owned(world.bob, key)


def test_live_tokens_when_counted_then_what_is_over_does_not_count(story, world, clock):
    tokens = story.tokens()
    root = delegation_of(tokens)
    child = handed_on(story, tokens["access_token"])
    fresh = story.refresh(tokens["refresh_token"]).json()

    def counted():
        (found,) = listing.described([listing.owned(world.alice, str(root.public_id))])
        return found.live_tokens, found.passed_on

    assert counted() == (3, 1)
    jti = claims_of(fresh["access_token"])["jti"]
    AccessToken.objects.filter(jti=jti).update(revoked_at=timezone.now())
    assert counted() == (2, 1)
    actions.end(delegation_of(child), audit.RequestContext(), reason="enough")
    assert counted() == (1, 0)
    clock.forward(hours=1)
    assert counted() == (0, 0)


def test_last_request_when_somebody_else_used_a_part_then_only_its_own_counts(story, clock):
    tokens = story.tokens()
    row = delegation_of(tokens)
    clock.forward(minutes=5)
    handed_on(story, tokens["access_token"])
    assert facts.last_requests([row.pk])[row.pk].when < timezone.now()
    story.wire.defaults["REMOTE_ADDR"] = "203.0.113.9"
    story.refresh(tokens["refresh_token"])
    last = facts.last_requests([row.pk])[row.pk]
    assert (last.when, last.origin) == (timezone.now(), "203.0.x.x")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.x.x"),
        ("::ffff:203.0.113.9", "203.0.x.x"),
        ("2001:db8:1:2::3", "2001:db8:x"),
        ("::1", "0:0:x"),
        ("no address", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_coarse_when_it_is_an_address_then_only_its_network_is_left(address, network):
    assert facts.coarse(address) == network


def test_tree_when_it_is_too_wide_then_it_is_cut_and_the_one_looked_at_is_there(story, world):
    chain = Chain(story)
    root, child, leaf = chain.rows
    old = root.issued_at - timedelta(days=1)
    Delegation.objects.filter(pk__in=[child.pk, leaf.pk]).update(issued_at=old)
    copies(child, detail.MAX_NODES, parent=root, issued_at=root.issued_at)

    def nodes(node):
        return [node, *(below for each in node.children for below in nodes(each))]

    found = detail.load(world.alice, listing.owned(world.alice, str(leaf.public_id)))
    assert found.is_cut
    assert [node.key for node in nodes(found.tree) if node.is_current] == [str(leaf.public_id)]
    assert len(nodes(found.tree)) == detail.MAX_NODES + 2


def test_past_when_much_happened_then_the_newest_twenty_are_told(story, world):
    row = delegation_of(story.tokens())
    origin = audit.RequestContext(f"user:{world.alice.pk}")
    longest = timezone.now() + timedelta(days=60)
    for minutes in range(30):
        to = Narrowing(expires_at=longest - timedelta(minutes=minutes))
        actions.narrow(row, to, origin)
    whole = detail.load(world.alice, listing.owned(world.alice, str(row.public_id)))
    assert len(whole.past) == timeline.MAX_LINES
    assert all("only until" in happening.text for happening in whole.past)
    moments = [happening.when for happening in whole.past]
    assert moments == sorted(moments, reverse=True)


def test_apps_when_the_same_app_is_there_often_then_it_is_named_once(story, world):
    row = delegation_of(story.tokens())
    copies(row, 3)
    gone = copies(row, 1, delegate_id=None, delegate_client_id="gone", audience=Audience())
    Delegation.objects.filter(pk=gone[0].pk).update(scopes=Scope())
    assert listing.apps(world.alice) == [("gone", "gone"), ("web", "Web")]
    assert listing.apps(world.bob) == []
    assert story.browser.get(f"{LIST}?show=all").status_code == 200
    assert story.browser.get(at(gone[0])).status_code == 200
