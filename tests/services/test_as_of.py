"""Who could act at a time, against what was true when it was that time."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from delegation_app.models import AuditEvent, ClientPolicy, Delegation
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.clients import changes, snapshots
from delegation_app.services.delegations import creation, revocation
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.reporting.as_of import AsOfQuery, who_could_act
from delegation_app.services.reporting.as_of_history import AccessAnswer, UnknownFact
from tests.support.world import SERVICE_A, delegation_of


class Past:
    """Moments by name, and who could act at each."""

    def __init__(self, clock):
        self._clock = clock
        self._moments = {}

    def note(self, name):
        self._clock.forward(minutes=1)
        self._moments[name] = self._clock()
        self._clock.forward(minutes=1)

    def at(self, name, **asked):
        return who_could_act(
            AsOfQuery(self._moments[name], **{"principal": "alice", **asked})
        ).lines

    def time(self, name):
        return self._moments[name]


@pytest.fixture
def past(clock):
    return Past(clock)


def switch(client_id, *, enabled):
    """As the admin does it."""
    policy = ClientPolicy.objects.get(application__client_id=client_id)
    policy.enabled = enabled
    policy.save()
    fields = ["clientpolicy.enabled"]
    changes.record_client_change(
        policy.application, audit.RequestContext(), change="changed", fields=fields
    )


def test_as_of_when_it_was_opened_narrowed_and_revoked_then_each_time_has_its_own_terms(
    past, story, clock
):
    past.note("before")
    row = delegation_of(story.tokens())
    past.note("open")
    ends = clock() + timedelta(days=1)
    to = Narrowing(scope=Scope(["read:metrics"]), expires_at=ends)
    creation.narrow(row, to, audit.RequestContext(), reason="less")
    past.note("narrow")
    revocation.subtree(row, audit.RequestContext(), reason="over")
    past.note("after")

    assert past.at("before") == past.at("after") == []
    [opened] = past.at("open")
    assert opened.scopes == Scope(["read:metrics", "write:alerts"])
    assert opened.audience == (SERVICE_A,)
    assert opened.until == row.expires_at
    assert opened.ended_at > past.time("narrow")
    assert [e.event for e in opened.events] == ["delegation.created", "delegation.revoked"]
    [narrowed] = past.at("narrow")
    assert (narrowed.scopes, narrowed.until) == (Scope(["read:metrics"]), ends)
    assert "delegation.narrowed" in [event.event for event in narrowed.events]
    assert {opened.answer, narrowed.answer} == {AccessAnswer.YES}
    assert opened.gaps == narrowed.gaps == ()
    assert past.at("narrow", scope="write:alerts") == past.at("open", client_id="other") == []
    assert len(past.at("open", scope="write:alerts", client_id="web")) == 1


def test_as_of_when_the_root_was_narrowed_then_the_child_had_more_before(past, story):
    first = story.tokens()
    story.exchange(first["access_token"])
    past.note("both")
    root = delegation_of(first)
    narrowing = Narrowing(scope=Scope(["read:metrics"]))
    creation.narrow(root, narrowing, audit.RequestContext(), reason="less")
    past.note("less")
    for name, scopes in (("both", "read:metrics write:alerts"), ("less", "read:metrics")):
        child = next(line for line in past.at(name) if line.delegation.depth)
        assert str(child.scopes) == scopes
        assert child.via == ("web", "service-a")
        assert child.gaps == ()


def test_as_of_when_a_client_above_was_off_for_a_while_then_nobody_below_could_act(past, story):
    story.exchange(story.tokens()["access_token"])
    past.note("on")
    switch("web", enabled=False)
    past.note("off")
    switch("web", enabled=True)
    past.note("on again")
    switch("web", enabled=False)
    answers = {
        name: {(line.answer, line.stopped_by) for line in past.at(name)}
        for name in ("on", "off", "on again")
    }
    assert answers["on"] == answers["on again"] == {(AccessAnswer.YES, ())}
    assert answers["off"] == {(AccessAnswer.NO, ("web",))}
    [child] = [line for line in past.at("off") if line.delegation.depth]
    assert "client.changed" in [event.event for event in child.events]


def recorded_switch(client_id, *, enabled):
    """As the admin does it, with the values."""
    policy = ClientPolicy.objects.get(application__client_id=client_id)
    before = snapshots.client(policy.pk)
    policy.enabled = enabled
    policy.save()
    values = snapshots.diff(before, snapshots.client(policy.pk))
    changes.record_client_change(
        policy.application, audit.RequestContext(), change="changed", values=values
    )


def test_as_of_when_a_script_turned_it_too_then_what_an_operator_found_is_believed(past, story):
    story.tokens()
    past.note("on")
    ClientPolicy.objects.filter(application__client_id="web").update(enabled=False)
    past.note("off")
    recorded_switch("web", enabled=True)
    ClientPolicy.objects.filter(application__client_id="web").update(enabled=False)
    past.note("off again")
    recorded_switch("web", enabled=True)
    past.note("on at last")
    answers = {name: past.at(name)[0].answer for name in ("off", "off again", "on at last")}
    assert answers == {
        "off": AccessAnswer.NO,
        "off again": AccessAnswer.NO,
        "on at last": AccessAnswer.YES,
    }


def test_as_of_when_an_older_version_recorded_the_switch_before_then_it_is_taken_back(past, story):
    story.tokens()
    past.note("on")
    switch("web", enabled=False)
    past.note("off")
    recorded_switch("web", enabled=True)
    past.note("on again")
    answers = [past.at(name)[0].answer for name in ("on", "off", "on again")]
    assert answers == [AccessAnswer.YES, AccessAnswer.NO, AccessAnswer.YES]


@pytest.mark.parametrize(
    ("enabled", "answer"), [(True, AccessAnswer.YES), (False, AccessAnswer.NO)]
)
def test_as_of_when_the_client_was_deleted_since_then_its_last_state_is_on_record(
    past, story, enabled, answer
):
    story.tokens()
    row = story.world.web.row
    if not enabled:
        ClientPolicy.objects.filter(pk=row.pk).update(enabled=False)
    past.note("there")
    values = snapshots.diff(snapshots.client(row.pk), None)
    changes.record_client_change(row, audit.RequestContext(), change="deleted", values=values)
    row.delete()
    [line] = past.at("there")
    assert line.answer is answer


def test_as_of_when_a_client_was_disabled_by_a_script_then_its_stamp_tells(past, story):
    story.tokens()
    past.note("on")
    ClientPolicy.objects.filter(application__client_id="web").update(enabled=False)
    past.note("off")
    assert [line.answer for line in past.at("on")] == [AccessAnswer.YES]
    assert [line.answer for line in past.at("off")] == [AccessAnswer.NO]


def test_as_of_when_the_person_is_disabled_now_then_the_answer_is_unsure_and_says_why(past, story):
    story.tokens()
    past.note("open")
    get_user_model().objects.filter(username="alice").update(is_active=False)
    [line] = past.at("open")
    assert (line.answer, line.gaps) == (AccessAnswer.UNSURE, (UnknownFact.PERSON,))


def turn(person, *, active):
    """As a form does it."""
    person.is_active = active
    person.save()


def test_as_of_when_the_person_was_disabled_for_a_while_then_only_then_nobody_could_act(
    past, story
):
    alice = story.world.alice
    story.exchange(story.tokens()["access_token"])
    past.note("on")
    turn(alice, active=False)
    past.note("off")
    turn(alice, active=True)
    past.note("on again")
    turn(alice, active=False)
    past.note("off again")
    for name in ("on", "on again", "off", "off again"):
        lines = past.at(name)
        assert len(lines) == 2
        for line in lines:
            off = name.startswith("off")
            assert line.answer is (AccessAnswer.NO if off else AccessAnswer.YES), name
            assert line.stopped_by == ((f"user:{alice.pk}",) if off else ())
            assert line.gaps == ()
            assert "user.disabled" in [event.event for event in line.events]


def test_as_of_when_a_script_turned_the_person_then_what_contradicts_itself_is_unsure(past, story):
    alice = story.world.alice
    people = get_user_model().objects.filter(pk=alice.pk)
    story.tokens()
    past.note("before")
    people.update(is_active=False)
    past.note("by a script")
    turn(alice, active=True)
    past.note("on again")
    turn(alice, active=False)
    past.note("off")
    people.update(is_active=True)
    answers = {
        name: past.at(name)[0].answer for name in ("before", "by a script", "on again", "off")
    }
    assert answers == {
        "before": AccessAnswer.UNSURE,
        "by a script": AccessAnswer.UNSURE,
        "on again": AccessAnswer.YES,
        "off": AccessAnswer.UNSURE,
    }


def test_as_of_when_a_disabled_person_was_deleted_then_the_event_still_tells(past, story):
    alice = story.world.alice
    subject = f"user:{alice.pk}"
    story.tokens()
    past.note("on")
    turn(alice, active=False)
    past.note("off")
    alice.delete()
    assert [line.answer for line in past.at("on", principal=subject)] == [AccessAnswer.YES]
    assert [line.answer for line in past.at("off", principal=subject)] == [AccessAnswer.NO]


def test_as_of_when_the_person_is_gone_then_subject_and_name_still_find_it(past, story):
    story.tokens()
    past.note("open")
    subject = f"user:{story.world.alice.pk}"
    story.world.alice.delete()
    [line] = past.at("open", principal=subject)
    assert [found.delegation for found in past.at("open")] == [line.delegation]
    assert line.answer is AccessAnswer.YES


def test_as_of_when_an_older_version_opened_it_then_what_is_missing_is_told(past, story, clock):
    row = delegation_of(story.tokens())
    past.note("open")
    opened = AuditEvent.objects.get(event="delegation.created")
    del opened.details["expires_at"]
    # As a database has it that was filled by an older version
    AuditEvent.objects.filter(pk=opened.pk)._raw_delete("default")
    [line] = past.at("open")
    assert line.gaps == (UnknownFact.NOT_OPENED,)
    AuditEvent.objects.bulk_create([opened])
    [line] = past.at("open")
    assert (line.until, line.gaps) == (row.expires_at, ())
    to = Narrowing(expires_at=clock() + timedelta(minutes=5))
    creation.narrow(row, to, audit.RequestContext(), reason="x")
    [line] = past.at("open")
    assert (line.until, line.gaps) == (row.expires_at, ())
    clock.forward(hours=1)
    assert len(past.at("open")) == 1


def test_as_of_when_there_are_more_lines_then_the_statements_are_the_same(
    past, story, django_assert_max_num_queries
):
    for _ in range(3):
        story.exchange(story.tokens(prompt="consent")["access_token"])
    past.note("open")
    with django_assert_max_num_queries(8):
        assert len(past.at("open")) == Delegation.objects.count() == 6
