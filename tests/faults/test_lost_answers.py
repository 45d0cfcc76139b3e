"""A connection that is cut during a commit: what was done is known, or said not to be known."""

import importlib
import inspect
import math
import pkgutil
import time
from itertools import cycle, islice
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.db import connections

from delegation_app import grants, services
from delegation_app.models import (
    AccessToken,
    AuditEvent,
    Delegation,
    DelegationBlock,
    RefreshToken,
)
from delegation_app.protocol.errors import OAuthError, OutcomeUnknown
from delegation_app.services import transactions
from delegation_app.services.tokens import reissue
from delegation_app.signals import delegation_revoked
from tests.faults.every_service import (
    EVERY,
    OWNED,
    replace_secret,
    rotate_keys,
)
from tests.faults.proxy import Point
from tests.races.crowd import new_code, new_root
from tests.support.answers import each, recorded, refused
from tests.support.world import FORM, delegation_of, redirected

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]

CUT = [Point.BEFORE_COMMIT, Point.DURING_COMMIT, Point.AFTER_COMMIT]
everywhere = pytest.mark.parametrize("point", CUT, ids=lambda point: point.name.lower())


def outcome(act):
    """What a caller gets: the kind of result, or the code of the refusal."""
    try:
        result = act()
    except OAuthError as error:
        return error.code
    return str(result) if isinstance(result, int) else type(result).__name__


def unknown(response, advice="Repeating the request is safe."):
    refused(response, "temporarily_unavailable", 503)
    assert int(response["Retry-After"]) > 0
    text = f"The outcome of this request is unknown. {advice}"
    assert response.json()["error_description"] == text


def events_since(last):
    found = AuditEvent.objects.filter(id__gt=last).order_by("id")
    return list(found.values_list("event", flat=True))


def last_event():
    return AuditEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0


# As if nothing had happened


@everywhere
def test_services_when_a_commit_is_cut_then_each_is_done_once_and_answers_as_ever(
    story, proxy, point
):
    for name, (prepare, result, events) in EVERY.items():
        with each(name):
            # What the services before took stays taken
            DelegationBlock.objects.all().delete()
            act, last = prepare(story.world), last_event()
            proxy.happened.clear()
            proxy.cut(point, delay=0.1)

            assert outcome(act) == result
            assert proxy.happened == [point]
            assert events_since(last) == events


def test_services_when_they_own_their_transaction_then_each_is_cut_above():
    modules = [
        importlib.import_module(module.name)
        for package in (services, grants)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if module.name != transactions.__name__
    ]
    owned = {
        f"{module.__name__.rpartition('.')[2]}.{name}"
        for module in modules
        for name, found in vars(module).items()
        if inspect.isfunction(found)
        and found.__module__ == module.__name__
        and any(is_owned(one) for one in unwrapped(found))
    }
    assert owned == OWNED


def unwrapped(function):
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def is_owned(function):
    return function.__code__.co_filename == transactions.__file__


@everywhere
def test_code_when_the_commit_is_cut_then_its_tokens_work(story, proxy, point):
    code = story.code()
    proxy.cut(point)
    answer = story.redeem(code).json()
    assert proxy.happened == [point]
    assert story.is_active(answer["access_token"])
    assert story.refresh(answer["refresh_token"]).status_code == 200
    # And it is as used as any other
    refused(story.redeem(code), "invalid_grant")
    assert delegation_of(answer).revocation_reason == "code replayed"


@everywhere
def test_form_when_the_commit_is_cut_then_the_person_is_sent_on_with_a_code(story, proxy, point):
    page = story.authorize()
    proxy.cut(point)
    code = redirected(story.answer(page))["code"]
    assert proxy.happened == [point]
    assert story.redeem(code).status_code == 200


@everywhere
def test_signal_when_the_commit_is_cut_then_it_is_sent_once(story, proxy, point):
    row, tokens = new_root(story.world.alice)
    heard = []

    def hear(**told):
        heard.append(told["delegation_id"])

    delegation_revoked.connect(hear)
    try:
        proxy.cut(point)
        assert story.revoke(tokens["refresh_token"]).status_code == 200
    finally:
        delegation_revoked.disconnect(hear)
    assert proxy.happened == [point]
    assert heard == [row.public_id]


def test_answer_when_it_is_lost_then_no_lock_and_no_transaction_stays_behind(story, proxy):
    proxy.cut(Point.AFTER_COMMIT)
    story.client_credentials()
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%'"
        )
        assert cursor.fetchone() == (0,)


# Not to be known


@pytest.mark.parametrize("point", [Point.BEFORE_COMMIT, Point.AFTER_COMMIT])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same process", "another process"])
def test_code_when_the_outcome_is_unknown_then_the_client_may_do_as_it_is_told(
    story, proxy, point, elsewhere
):
    code = story.code()
    proxy.cut(point, away=math.inf)
    unknown(story.redeem(code))
    refused(story.redeem(code), "temporarily_unavailable", 503)
    proxy.come_back()
    if elsewhere:
        reissue.forget()
    event = "token.issued" if point is Point.BEFORE_COMMIT else "token.reissued"
    with recorded(event):
        answer = story.redeem(code)
    assert answer.status_code == 200, answer.content
    tokens = answer.json()
    assert story.is_active(tokens["access_token"])
    # Nobody holds the others, and they are over
    live = AccessToken.objects.filter(delegation=delegation_of(tokens), revoked_at=None)
    assert live.count() == 1
    assert story.refresh(tokens["refresh_token"]).status_code == 200
    # From then on it is a code that was used
    refused(story.redeem(code), "invalid_grant")
    assert not story.is_active(tokens["access_token"])


def test_code_when_the_retry_is_lost_too_then_the_next_one_counts(story, proxy):
    code = story.code()
    for _ in range(2):
        proxy.cut(Point.AFTER_COMMIT, away=math.inf)
        unknown(story.redeem(code))
        proxy.come_back()
    tokens = story.redeem(code).json()
    assert story.is_active(tokens["access_token"])
    assert delegation_of(tokens).access_tokens.filter(revoked_at=None).count() == 1


@pytest.mark.parametrize("change", [{"code_verifier": "wrong" * 10}, {"code_verifier": None}])
def test_retry_when_it_proves_nothing_then_no_tokens_and_nothing_ends(story, proxy, change):
    code = story.code()
    proxy.cut(Point.AFTER_COMMIT, away=math.inf)
    unknown(story.redeem(code))
    proxy.come_back()
    refused(story.redeem(code, **change), "invalid_grant")
    refused(story.redeem(code, story.world.other), "invalid_grant")
    assert story.redeem(code).status_code == 200


def test_code_when_nobody_remembers_that_its_answer_was_lost_then_it_is_a_replay(story, proxy):
    code = story.code()
    proxy.cut(Point.AFTER_COMMIT, away=math.inf)
    unknown(story.redeem(code))
    proxy.come_back()
    reissue.forget()
    cache.clear()
    with recorded("delegation.revoked"):
        refused(story.redeem(code), "invalid_grant")


def test_retry_when_the_delegation_has_a_last_use_then_the_lost_one_does_not_count(story, proxy):
    story.world.web.change(constraints=[{"type": "max_uses", "uses": 1}])
    code = story.code()
    proxy.cut(Point.AFTER_COMMIT, away=math.inf)
    unknown(story.redeem(code))
    proxy.come_back()
    tokens = story.redeem(code).json()
    assert delegation_of(tokens).uses == 1
    refused(story.refresh(tokens["refresh_token"]), "invalid_grant")


def test_device_code_when_the_outcome_is_unknown_then_the_next_poll_gets_tokens(story, proxy):
    code = story.approved()
    proxy.cut(Point.AFTER_COMMIT, away=math.inf)
    unknown(story.poll(code))
    proxy.come_back()
    with recorded("token.reissued"):
        tokens = story.poll(code).json()
    assert story.is_active(tokens["access_token"])
    assert delegation_of(tokens).access_tokens.filter(revoked_at=None).count() == 1
    assert story.refresh(tokens["refresh_token"], story.world.tv).status_code == 200
    refused(story.poll(code), "invalid_grant")


@pytest.mark.parametrize("point", [Point.BEFORE_COMMIT, Point.AFTER_COMMIT])
def test_refresh_when_the_outcome_is_unknown_then_it_can_be_repeated(story, proxy, point):
    tokens = story.tokens()
    proxy.cut(point, away=math.inf)
    unknown(story.refresh(tokens["refresh_token"]))
    proxy.come_back()
    again = story.refresh(tokens["refresh_token"])
    assert again.status_code == 200
    assert RefreshToken.objects.filter(delegation=delegation_of(tokens)).count() == 2
    assert story.refresh(again.json()["refresh_token"]).status_code == 200


@pytest.mark.parametrize(("app", "window"), [("web", None), ("mobile", None), ("web", 0)])
def test_refresh_when_the_database_is_away_for_longer_than_the_window_then_no_family_dies(
    story, proxy, clock, app, window
):
    app = story.world.apps[app]
    app.change(refresh_retry_window=window)
    tokens = story.tokens(app)
    proxy.cut(Point.AFTER_COMMIT, away=math.inf)
    unknown(story.refresh(tokens["refresh_token"], app))
    clock.forward(minutes=10)
    refused(story.refresh(tokens["refresh_token"], app), "temporarily_unavailable", 503)
    proxy.come_back()
    with recorded("token.refresh_retried"):
        again = story.refresh(tokens["refresh_token"], app).json()
    assert story.refresh(again["refresh_token"], app).status_code == 200
    # Its successor is used, so what was lost does not matter any more
    with recorded("delegation.revoked"):
        refused(story.refresh(tokens["refresh_token"], app), "invalid_grant")


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("point", [Point.BEFORE_COMMIT, Point.AFTER_COMMIT])
def test_revocation_when_the_outcome_is_unknown_then_it_can_be_repeated(story, proxy, point, kind):
    tokens = story.tokens()
    proxy.cut(point, away=math.inf)
    unknown(story.revoke(tokens[kind]))
    proxy.come_back()
    assert story.revoke(tokens[kind]).status_code == 200
    assert not story.is_active(tokens["access_token"])


@pytest.mark.parametrize("prepare", [replace_secret, rotate_keys])
def test_deed_when_it_must_not_be_done_twice_then_its_error_says_to_look_first(
    story, proxy, prepare
):
    act = prepare(story.world)
    proxy.cut(Point.AFTER_COMMIT, away=math.inf)
    with pytest.raises(OutcomeUnknown) as error:
        act()
    assert error.value.description.endswith("Look whether it was done before you repeat it.")


def test_server_when_it_is_left_waiting_then_nobody_is_told_what_is_not_known(
    story, proxy, monkeypatch
):
    monkeypatch.setattr(transactions, "PATIENCE_MS", 200)
    code = story.code()
    proxy.cut(Point.HANGING)
    unknown(story.redeem(code))
    proxy.let_go()
    assert story.redeem(code).status_code == 200


def test_server_when_it_commits_late_then_the_look_waits_for_it(story, proxy):
    code = story.code()
    proxy.cut(Point.DURING_COMMIT, delay=1.5)
    with recorded("token.issued"):
        assert story.redeem(code).status_code == 200
    assert Delegation.objects.filter(codes__isnull=False).get().access_tokens.count() == 1


# Pages


def test_form_when_the_outcome_is_unknown_then_the_page_does_not_say_that_nothing_was_shared(
    story, proxy
):
    page = story.authorize()
    proxy.cut(Point.BEFORE_COMMIT, away=math.inf)
    told = story.answer(page)
    assert told.status_code == 503
    html = told.content.decode()
    assert "The outcome of this request is unknown." in html
    assert "No access was granted" not in html
    proxy.come_back()
    # It was not, and the question can still be answered
    assert redirected(story.answer(page))["code"]


def test_device_form_when_the_outcome_is_unknown_then_it_can_be_answered_again(story, proxy):
    started = story.start().json()
    page = story.enter(started["user_code"])
    proxy.cut(Point.BEFORE_COMMIT, away=math.inf)
    told = story.connect(page)
    assert told.status_code == 503
    assert "No access was granted" not in told.content.decode()
    proxy.come_back()
    assert story.connect(page).status_code == 200
    assert story.poll(started["device_code"]).status_code == 200


def test_connections_when_the_outcome_is_unknown_then_the_page_says_so(story, proxy):
    row, _tokens = new_root(story.world.alice)
    path = f"/connections/{row.public_id}/end"
    shown = story.browser.get(path).content.decode()
    person = shown.split('name="person" value="')[1].split('"')[0]
    proxy.cut(Point.AFTER_COMMIT, away=math.inf)
    told = story.browser.post(path, urlencode({"person": person}), content_type=FORM)
    assert told.status_code == 503
    html = told.content.decode()
    assert "The outcome of this request is unknown." in html
    assert "Nothing was changed" not in html


# Races


@pytest.mark.race
@pytest.mark.parametrize("rounds", [25, pytest.param(100, marks=pytest.mark.soak)])
def test_code_when_connections_are_cut_at_random_then_no_client_that_obeys_loses_its_grant(
    story, proxy, rounds
):
    plans = cycle((point, away) for away in (-math.inf, 0.05) for point in CUT)
    for number, (point, away) in enumerate(islice(plans, rounds)):
        code = new_code(story.world)
        proxy.cut(point, delay=number % 7 / 50, away=away + number % 5 / 20)
        with each((number, point, away)):
            tokens = obeyed(lambda code=code: story.redeem(code))
            delegation = delegation_of(tokens)
            assert story.is_active(tokens["access_token"])
            assert delegation.access_tokens.filter(revoked_at=None).count() == 1
            assert delegation.revoked_at is None
    assert len(proxy.happened) == rounds


def obeyed(send):
    """Send a request until it is answered, as 503 asks for, and return the tokens."""
    for _ in range(50):
        response = send()
        if response.status_code != 503:
            assert response.status_code == 200, response.content
            return response.json()
        time.sleep(0.05)
    raise AssertionError("never answered")
