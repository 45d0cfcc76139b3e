"""What a status list marks: whatever introspection calls inactive or narrower, and nothing else."""

from dataclasses import dataclass, field
from datetime import timedelta
from unittest import mock

import hypothesis
import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models.signals import pre_delete
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given

from delegation_app import toolkit
from delegation_app.models import (
    AccessToken,
    ClientPolicy,
    ConsentRecord,
    Delegation,
    ResourceServer,
)
from delegation_app.models.validity import users_can_be_inactive
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import digest
from delegation_app.services import audit
from delegation_app.services.consent import approval
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.status_lists import invalid_tokens
from tests.races.crowd import new_root
from tests.services import test_tree_model as trees
from tests.support import reference_model as model
from tests.support.chains import Chain, handed_on
from tests.support.clock import Clock
from tests.support.model_parts import rolled_back
from tests.support.statuses import status
from tests.support.world import SERVICE_A, SERVICE_B, SERVICE_C, Story, claims_of, make_app

OPERATOR = audit.RequestContext("user:99")
READ = Scope(["read:metrics"])
EVERYTHING = range(1 << 40)


@dataclass
class Site:
    """Tokens of all kinds, by name."""

    story: Story
    chain: Chain
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def world(self):
        return self.story.world

    def marked(self):
        return {name for name, token in self.tokens.items() if status(self.story, token)}

    def less(self):
        """Those of which introspection says less than they say themselves."""
        return {name for name, token in self.tokens.items() if self.says_less(token)}

    def says_less(self, token):
        told = self.story.introspect(token, self.world.operator_tool).json()
        claims = claims_of(token)
        return any(told.get(name) != claims.get(name) for name in ("scope", "aud"))


@pytest.fixture
def site(story, world, settings):
    # So that each question is answered from the tables
    settings.DELEGATION = {**settings.DELEGATION, "STATUS_LIST_CACHE_SECONDS": 0}
    chain = Chain(story)
    names = dict(zip(("root", "child", "grandchild"), chain.tokens, strict=True))
    names["bob"] = Story(world, world.bob).tokens()["access_token"]
    names["other"] = story.tokens(world.other)["access_token"]
    names["cron"] = story.client_credentials().json()["access_token"]
    made = Site(story, chain, names)
    assert made.marked() == made.less() == set()
    return made


def user(world, **values):
    get_user_model().objects.filter(pk=world.alice.pk).update(**values)


def save_user(world, **values):
    for name, value in values.items():
        setattr(world.alice, name, value)
    world.alice.save()


def policy(app, **values):
    """Change a policy as a form does."""
    row = app.policy
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


def server(world, **values):
    ResourceServer.objects.filter(pk=world.service_a.pk).update(**values)


def save_server(world, **values):
    row = ResourceServer.objects.get(pk=world.service_a.pk)
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


def end(site, row):
    revocation.subtree(row, OPERATOR, reason="test")


def narrow(row, **to):
    creation.narrow(row, Narrowing(**to), OPERATOR, reason="test")


def withdraw(world):
    for record in ConsentRecord.objects.filter(user=world.alice, client=world.web.row):
        approval.withdraw(record, OPERATOR, reason="test")


def reuse(site):
    """An old refresh token comes again."""
    old = site.chain.answers[0]["refresh_token"]
    new = site.story.refresh(old).json()["refresh_token"]
    site.story.refresh(new)
    assert site.story.refresh(old).status_code == 400


TREE = {"root", "child", "grandchild"}
ALICE = TREE | {"other"}
WEB = TREE | {"bob"}
HELD_BY_WEB = {"root", "bob"}
AT_A = {"root", "bob", "other", "cron"}

# What happens, which tokens it concerns, and how it is undone if it is a state
CAUSES = {
    "nothing": (lambda s: None, set(), None),
    "token given back": (lambda s: s.story.revoke(s.tokens["root"]), {"root"}, None),
    "refresh token given back": (
        lambda s: s.story.revoke(s.chain.answers[0]["refresh_token"]), TREE, None,
    ),
    "refresh token reused": (reuse, TREE, None),
    "root revoked": (lambda s: end(s, s.chain.rows[0]), TREE, None),
    "child revoked": (lambda s: end(s, s.chain.rows[1]), {"child", "grandchild"}, None),
    "leaf revoked": (lambda s: end(s, s.chain.rows[2]), {"grandchild"}, None),
    "child, then root revoked": (
        lambda s: (end(s, s.chain.rows[1]), end(s, s.chain.rows[0])), TREE, None,
    ),
    "several revoked": (
        lambda s: revocation.revoke_delegations(s.chain.rows[1:], OPERATOR, reason="test"),
        {"child", "grandchild"}, None,
    ),
    "all of a person revoked": (
        lambda s: revocation.of_user(s.world.alice, OPERATOR, reason="test"), ALICE, None,
    ),
    "all of a client revoked": (
        lambda s: revocation.of_client(s.world.web.row, OPERATOR, reason="test"), WEB, None,
    ),
    "all of a service revoked": (
        lambda s: revocation.of_client(s.world.service_a_client.row, OPERATOR, reason="test"),
        {"child", "grandchild"}, None,
    ),
    "consent withdrawn": (lambda s: withdraw(s.world), TREE, None),
    "scope narrowed": (lambda s: narrow(s.chain.rows[0], scope=READ), TREE, None),
    "child narrowed": (
        lambda s: narrow(s.chain.rows[1], scope=READ), {"child", "grandchild"}, None,
    ),
    "person inactive": (
        lambda s: user(s.world, is_active=False), ALICE, lambda s: user(s.world, is_active=True),
    ),
    "person inactive, saved": (
        lambda s: save_user(s.world, is_active=False), ALICE,
        lambda s: save_user(s.world, is_active=True),
    ),
    "person deleted": (lambda s: s.world.alice.delete(), ALICE, None),
    "person deleted in bulk": (
        lambda s: get_user_model().objects.filter(pk=s.world.alice.pk).delete(), ALICE, None,
    ),
    "client disabled": (
        lambda s: s.world.web.change(enabled=False), WEB,
        lambda s: s.world.web.change(enabled=True),
    ),
    "client disabled, saved": (
        lambda s: policy(s.world.web, enabled=False), WEB,
        lambda s: policy(s.world.web, enabled=True),
    ),
    "service's client disabled": (
        lambda s: policy(s.world.service_a_client, enabled=False), {"child", "grandchild"},
        lambda s: policy(s.world.service_a_client, enabled=True),
    ),
    "lone client disabled": (
        lambda s: policy(s.world.cron, enabled=False), {"cron"},
        lambda s: policy(s.world.cron, enabled=True),
    ),
    "client deleted": (lambda s: s.world.web.row.delete(), WEB, None),
    "service's client deleted": (
        lambda s: s.world.service_a_client.row.delete(), {"child", "grandchild"}, None,
    ),
    "client's scopes": (
        lambda s: s.world.web.change(scopes="read:metrics"), HELD_BY_WEB,
        lambda s: s.world.web.change(scopes="read:metrics write:alerts"),
    ),
    "client's scopes, saved": (
        lambda s: policy(s.world.web, scopes="read:metrics"), HELD_BY_WEB,
        lambda s: policy(s.world.web, scopes="read:metrics write:alerts"),
    ),
    "client's audience removed": (
        lambda s: s.world.web.policy.audiences.remove(s.world.service_a), HELD_BY_WEB,
        lambda s: s.world.web.policy.audiences.add(s.world.service_a),
    ),
    "client's audience set": (
        lambda s: s.world.web.policy.audiences.set([s.world.service_b]), HELD_BY_WEB, None,
    ),
    "client's audiences cleared": (
        lambda s: s.world.web.policy.audiences.clear(), HELD_BY_WEB, None,
    ),
    "client removed from the service": (
        lambda s: s.world.service_a.client_policies.remove(s.world.web.policy), HELD_BY_WEB, None,
    ),
    "service loses its clients": (
        lambda s: s.world.service_a.client_policies.clear(), AT_A, None,
    ),
    "service off": (
        lambda s: server(s.world, active=False), AT_A, lambda s: server(s.world, active=True),
    ),
    "service off, saved": (
        lambda s: save_server(s.world, active=False), AT_A,
        lambda s: save_server(s.world, active=True),
    ),
    "service's scopes": (
        lambda s: server(s.world, scopes="read:metrics"), AT_A,
        lambda s: server(s.world, scopes="read:metrics write:alerts"),
    ),
    "service's scopes, saved": (
        lambda s: save_server(s.world, scopes="read:metrics"), AT_A,
        lambda s: save_server(s.world, scopes="read:metrics write:alerts"),
    ),
    "service renamed": (
        lambda s: save_server(s.world, identifier="https://a.example"), AT_A, None,
    ),
    "service deleted": (lambda s: s.world.service_a.delete(), AT_A, None),
    "service deleted in bulk": (
        lambda s: ResourceServer.objects.filter(pk=s.world.service_a.pk).delete(), AT_A, None,
    ),
}  # fmt: skip


@pytest.mark.conformance("SL-12", "SL-20", "DG-08")
@pytest.mark.parametrize("name", CAUSES, ids=lambda name: name.replace(" ", "-"))
def test_cause_when_it_happens_then_what_introspection_calls_less_is_marked(site, name):
    act, concerned, undo = CAUSES[name]
    act(site)
    assert site.marked() == concerned
    assert site.less() == concerned
    if undo is not None:
        undo(site)
        assert site.marked() == site.less() == set()


@pytest.mark.conformance("SL-20")
def test_code_when_replayed_then_what_it_got_is_marked(site):
    code = site.story.code(prompt="consent")
    token = site.story.redeem(code).json()["access_token"]
    assert status(site.story, token) == 0
    assert site.story.redeem(code).status_code == 400
    assert status(site.story, token) == 1
    assert site.marked() == set()


@pytest.mark.parametrize(
    "to",
    [
        {"expires_at": timedelta(seconds=60)},
        {"constraints": Constraints.parse([{"type": "ip_range", "networks": ["192.0.2.0/24"]}])},
        {"constraints": Constraints.parse([{"type": "max_depth", "depth": 3}])},
    ],
    ids=["expiry", "networks", "depth"],
)
def test_narrowing_when_the_token_does_not_know_of_it_then_marked(site, to):
    if "expires_at" in to:
        to = {"expires_at": timezone.now() + to["expires_at"]}
    narrow(site.chain.rows[0], **to)
    assert site.marked() == TREE


def test_narrowing_when_it_is_of_the_audience_then_only_that_one_is_marked(site):
    both = site.story.tokens(resource=[SERVICE_A, SERVICE_B])["access_token"]
    site.tokens["both"] = both
    row = Delegation.objects.get(public_id=claims_of(both)["delegation_id"])
    narrow(row, audience=Audience([SERVICE_A]))
    assert site.marked() == site.less() == {"both"}


def test_narrowing_when_nothing_is_left_below_then_what_ended_is_marked(site):
    writer = handed_on(site.story, site.tokens["root"], scope="write:alerts")["access_token"]
    site.tokens["writer"] = writer
    narrow(site.chain.rows[0], scope=READ)
    assert site.marked() == TREE | {"writer"}


def test_token_when_issued_in_the_second_of_a_narrowing_then_it_is_good(site, clock):
    # The clock stands still: both tokens and the narrowing have the same time
    before = site.story.refresh(site.chain.answers[0]["refresh_token"]).json()
    narrow(site.chain.rows[0], scope=READ)
    after = site.story.refresh(before["refresh_token"]).json()
    below = handed_on(site.story, after["access_token"])
    tokens = [answer["access_token"] for answer in (before, after, below)]
    assert [status(site.story, token) for token in tokens] == [1, 0, 0]


def test_token_when_issued_after_a_policy_was_tightened_then_it_is_good(site):
    site.world.web.change(scopes="read:metrics")
    token = site.story.refresh(site.chain.answers[0]["refresh_token"]).json()["access_token"]
    assert status(site.story, token) == 0
    assert site.marked() == HELD_BY_WEB


def test_token_when_it_never_had_what_was_taken_then_it_is_good(site):
    reader = site.story.tokens(scope="read:metrics", resource=SERVICE_B)["access_token"]
    site.tokens["reader"] = reader
    site.world.web.change(scopes="read:metrics")
    site.world.web.policy.audiences.remove(site.world.service_a)
    assert site.marked() == HELD_BY_WEB


def test_token_when_one_of_its_two_services_goes_then_it_is_marked(site):
    # One bit can't say where it is still good. A refresh gets one that is.
    answer = site.story.tokens(resource=[SERVICE_A, SERVICE_B])
    site.world.web.policy.audiences.remove(site.world.service_b)
    assert status(site.story, answer["access_token"]) == 1
    again = site.story.refresh(answer["refresh_token"]).json()["access_token"]
    assert claims_of(again)["aud"] == SERVICE_A
    assert status(site.story, again) == 0


def test_token_when_expired_then_it_is_left_out_after_a_minute(clock, site):
    end(site, site.chain.rows[0])
    ids = set(AccessToken.objects.values_list("pk", flat=True))
    assert len(invalid_tokens.ids(EVERYTHING, clock.time) & ids) == 3
    clock.forward(seconds=659)
    # Verifiers may be behind: what they still take has to be told
    assert len(invalid_tokens.ids(EVERYTHING, clock.time)) == 3
    clock.forward(seconds=2)
    assert invalid_tokens.ids(EVERYTHING, clock.time) == set()


@pytest.mark.parametrize("hours", [2, 24, 30, 24 * 80])
def test_token_when_issued_long_after_the_first_of_its_list_then_it_is_marked_too(
    clock, site, hours
):
    clock.forward(hours=hours)
    answer = site.story.refresh(site.chain.answers[0]["refresh_token"])
    token = (answer.json() if answer.status_code == 200 else new_root(site.world.bob)[1])[
        "access_token"
    ]
    assert status(site.story, token) == 0
    end(site, Delegation.objects.get(public_id=claims_of(token)["delegation_id"]))
    assert status(site.story, token) == 1


def test_token_when_it_lives_for_a_day_then_it_is_marked_to_the_end(clock, site):
    site.world.cron.change(access_token_lifetime=86_400)
    long = site.story.client_credentials().json()["access_token"]
    clock.forward(seconds=1)
    end(site, Delegation.objects.get(public_id=claims_of(long)["delegation_id"]))
    site.world.web.change(scopes="read:metrics")
    for _ in range(2):
        assert status(site.story, long) == 1
        clock.forward(hours=23, minutes=59)


def test_marks_when_they_are_of_a_range_then_nothing_outside_is_told(site):
    end(site, site.chain.rows[0])
    ids = sorted(invalid_tokens.ids(EVERYTHING, timezone.now()))
    assert len(ids) == 3
    assert invalid_tokens.ids(range(ids[0], ids[-1]), timezone.now()) == set(ids[:-1])
    assert invalid_tokens.ids(range(ids[0] + 1, ids[-1] + 1), timezone.now()) == set(ids[1:])


# Clients that were changed in other ways


def test_client_when_disabled_behind_our_back_then_it_is_marked(site):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delegation_app_clientpolicy SET enabled = %s WHERE application_id = %s",
            [False, site.world.web.row.pk],
        )
    assert site.world.web.policy.disabled_at is None
    assert site.marked() == WEB


def test_client_when_disabled_in_bulk_then_it_is_marked(site):
    row = site.world.web.policy
    row.enabled = False
    ClientPolicy.objects.bulk_update([row], ["enabled"])
    assert site.marked() == WEB


def test_client_when_its_fixture_is_loaded_then_it_is_marked(site):
    ClientPolicy.objects.filter(pk=site.world.web.row.pk).update(enabled=True)
    ClientPolicy.objects.update_or_create(
        pk=site.world.web.row.pk, defaults={"scopes": "read:metrics"}
    )
    assert site.marked() == HELD_BY_WEB


def test_policy_when_an_old_copy_is_saved_then_the_stamp_stays(site):
    copy = site.world.web.policy
    site.world.web.change(scopes="read:metrics")
    stamp = site.world.web.policy.restricted_at
    copy.scopes = "read:metrics"
    copy.always_prompt = True
    copy.save()
    assert site.world.web.policy.restricted_at == stamp
    copy.save(update_fields=["always_prompt"])
    assert site.world.web.policy.restricted_at == stamp
    assert site.marked() == HELD_BY_WEB


def test_policy_when_saved_partly_then_the_stamp_is_saved_too(site):
    copy = site.world.web.policy
    copy.enabled, copy.scopes = False, "read:metrics"
    copy.save(update_fields=["enabled", "scopes"])
    stored = site.world.web.policy
    assert None not in {stored.restricted_at, stored.disabled_at}


def test_policy_when_nothing_is_taken_then_nobody_has_to_look(site):
    copy = site.world.web.policy
    copy.scopes, copy.always_prompt = "read:metrics write:alerts read:profile delete:alerts", True
    copy.save()
    copy.audiences.add(site.world.service_c)
    save_server(site.world, scopes="read:metrics write:alerts delete:alerts read:profile x")
    world = site.world
    times = {
        world.web.policy.restricted_at,
        ResourceServer.objects.get(pk=world.service_a.pk).restricted_at,
    }
    assert times == {None}


def test_client_when_it_has_no_policy_then_the_default_audience_and_a_policy_count(site, settings):
    settings.DELEGATION = {**settings.DELEGATION, "DEFAULT_AUDIENCE": SERVICE_C}
    plain = make_app("plain", grants=(), audiences=[])
    plain.policy.delete()
    token = site.story.client_credentials(plain, scope="read:metrics").json()["access_token"]
    site.tokens = {"plain": token}
    world = site.world
    assert site.marked() == site.less() == set()
    scopes = {"scopes": "read:metrics write:alerts"}
    for values, undone in (({"active": False}, {"active": True}), ({"scopes": "x"}, scopes)):
        ResourceServer.objects.filter(pk=world.service_c.pk).update(**values)
        assert site.marked() == site.less() == {"plain"}
        ResourceServer.objects.filter(pk=world.service_c.pk).update(**undone)
        assert site.marked() == site.less() == set()
    made = ClientPolicy.objects.create(application=plain.row, scopes="write:alerts")
    assert site.marked() == site.less() == {"plain"}
    made.audiences.set([world.service_c])
    policy(plain, scopes="read:metrics")
    assert site.marked() == site.less() == set()


def test_client_when_the_default_audience_is_gone_then_it_is_marked(site, settings):
    settings.DELEGATION = {**settings.DELEGATION, "DEFAULT_AUDIENCE": SERVICE_C}
    plain = make_app("plain", grants=(), audiences=[])
    plain.policy.delete()
    token = site.story.client_credentials(plain, scope="read:metrics").json()["access_token"]
    site.tokens = {"plain": token}
    site.world.service_c.delete()
    assert site.marked() == site.less() == {"plain"}


# Deletion beside somebody who opens


@pytest.fixture
def opened_meanwhile(request):
    """What `new_root` opens between the first look at a deletion and the deletion itself."""
    opened = []
    connected = []

    def watch(sender, open_one):
        def receiver(instance, **_kwargs):
            opened.append(open_one())

        connected.append((receiver, sender))
        pre_delete.connect(receiver, sender=sender)

    yield watch, opened
    for receiver, sender in connected:
        pre_delete.disconnect(receiver, sender=sender)


def test_person_when_deleted_beside_a_consent_then_what_was_opened_ends_too(site, opened_meanwhile):
    watch, opened = opened_meanwhile
    watch(get_user_model(), lambda: new_root(site.world.alice))
    site.world.alice.delete()
    ((row, answer),) = opened
    row.refresh_from_db()
    assert (row.revoked_by, row.revocation_reason) == ("system", "the person was deleted")
    assert status(site.story, answer["access_token"]) == 1


def test_client_when_deleted_beside_a_consent_then_what_was_opened_ends_too(site, opened_meanwhile):
    watch, opened = opened_meanwhile
    watch(toolkit.application_model(), lambda: new_root(site.world.bob))
    site.world.web.row.delete()
    ((row, answer),) = opened
    row.refresh_from_db()
    assert (row.revoked_by, row.revocation_reason) == ("system", "the client was deleted")
    assert status(site.story, answer["access_token"]) == 1
    assert site.marked() == WEB


def test_people_when_they_can_not_be_inactive_then_nobody_is_asked(site):
    assert users_can_be_inactive()
    with mock.patch.object(invalid_tokens, "users_can_be_inactive", return_value=False):
        user(site.world, is_active=False)
        assert site.marked() == set()
    assert site.marked() == ALICE


# Anything at all


class Judged(trees.Site):
    """A site whose status list is compared with the model, too."""

    def took(self, issued, expected):
        super().took(issued, expected)
        # The short cut to a first token may put more into it than its services know
        if self.model.left(expected) == (expected.audience, expected.scope):
            self.whole.add(expected)

    def reset(self):
        super().reset()
        self.whole = set()

    def judge_tokens(self):
        marked = invalid_tokens.ids(EVERYTHING, self.clock.time)
        known = AccessToken.objects.select_related("delegation")
        for token, text in self.texts.items():
            row = (
                known.get(jti=claims_of(text)["jti"])
                if "." in text
                else known.get(digest=digest(text))
            )
            if self.model.now >= token.ends or token not in self.whole:
                continue
            left = self.model.left(token)
            is_good = self.model.is_active(token) and left == (token.audience, token.scope)
            last = row.delegation.narrowed_after
            if not is_good or last is None or row.pk > last:
                assert (row.pk in marked) == (not is_good), (row.pk, token.node.client.name)

    def judge_rows(self):
        """Compared elsewhere."""


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("stories", [30, pytest.param(1000, marks=pytest.mark.soak)])
def test_tree_when_anything_happens_to_it_then_the_marks_are_the_models(settings, stories):
    settings.DELEGATION = {**settings.DELEGATION, "MAX_DEPTH": model.MAX_DEPTH}
    site = Judged(trees.everybody)

    @hypothesis.settings(
        max_examples=stories,
        phases=set(Phase) - {Phase.explain},
        suppress_health_check=list(HealthCheck),
    )
    @given(data=trees.stories)
    def told(data):
        rolled_back(transaction.atomic(), lambda: trees.tell(site, data))

    assert isinstance(site.clock, Clock)
    with mock.patch("django.utils.timezone.now", site.clock):
        told()
