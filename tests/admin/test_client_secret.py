"""A client's secret is replaced on its page: shown once, and both are good for a while."""

import html
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission

from delegation_app import toolkit
from delegation_app.models import AuditEvent, ClientPolicy, PreviousSecret
from delegation_app.services.clients import authentication
from tests.admin.conftest import browser, events, page, person, text_of
from tests.support import SecureClient
from tests.support.world import App

OLD = "secret-of-cron-with-enough-entropy-2f6c1d"
DAY = 86400


def at(row, deed="new_secret"):
    return page("application", deed, row.pk, app="oauth2_provider")


def seen_on(client, row):
    return re.search(r'name="seen" value="([^"]+)"', client.get(at(row)).content.decode())[1]


def rotate(client, row, overlap=DAY, seen=None):
    return client.post(at(row), {"overlap": overlap, "seen": seen or seen_on(client, row)})


def shown(response):
    """The secret on the page that answers."""
    assert response.status_code == 200, response.content
    found = re.search(r'id="new-secret"[^>]*>([^<]+)<', response.content.decode())
    return html.unescape(found[1])


def gets_in(story, secret, row=None, *, method="basic"):
    app = App(row or story.world.cron.row, secret)
    data = {"grant_type": "client_credentials"}
    if method == "basic":
        return story.post("/oauth/token", data, app).status_code == 200
    data |= {"client_id": app.client_id, "client_secret": secret}
    return story.post("/oauth/token", data).status_code == 200


@pytest.fixture
def cron(world):
    return world.cron.row


@pytest.mark.parametrize("method", ["basic", "post"])
def test_secret_when_replaced_with_an_overlap_then_both_get_in_until_it_ends(
    story, cron, operator, clock, method
):
    new = shown(rotate(operator, cron, 3600))
    for _again in range(2):
        assert gets_in(story, OLD, method=method)
        assert gets_in(story, new, method=method)
    assert not gets_in(story, new + "x", method=method)
    clock.forward(seconds=3599)
    assert gets_in(story, OLD, method=method)
    clock.forward(seconds=2)
    assert not gets_in(story, OLD, method=method)
    assert gets_in(story, new, method=method)


def test_secret_when_replaced_without_an_overlap_then_the_former_one_is_dead_at_once(
    story, cron, operator
):
    # The process remembers what it verified; that must not outlive the secret
    assert gets_in(story, OLD)
    new = shown(rotate(operator, cron, 0))
    assert not gets_in(story, OLD)
    assert gets_in(story, new)
    assert not PreviousSecret.objects.exists()
    [event] = events("client.secret_rotated")
    assert event.details == {"former_until": None}
    assert event.actor == f"user:{operator.session['_auth_user_id']}"
    assert event.client_id_value == "cron"


def test_former_secret_when_ended_then_it_is_dead_though_this_process_verified_it(
    story, cron, operator
):
    new = shown(rotate(operator, cron))
    assert gets_in(story, OLD)
    assert "The previous secret works until" in text_of(operator.get(at(cron, "change")))
    assert "End the previous secret now?" in text_of(operator.get(at(cron, "end_former_secret")))
    assert PreviousSecret.objects.exists()
    answer = operator.post(at(cron, "end_former_secret"), follow=True)
    assert "The previous secret has ended." in text_of(answer)
    assert "The previous secret works until" not in text_of(answer)
    assert not gets_in(story, OLD)
    assert gets_in(story, new)
    answer = operator.post(at(cron, "end_former_secret"), follow=True)
    assert "The previous secret had already ended." in text_of(answer)
    assert len(events("client.previous_secret_ended")) == 1


def test_secret_when_replaced_twice_then_only_the_last_two_get_in(story, cron, operator):
    second = shown(rotate(operator, cron))
    assert "A previous secret is still valid." in text_of(operator.get(at(cron)))
    third = shown(rotate(operator, cron))
    assert [gets_in(story, each) for each in (OLD, second, third)] == [False, True, True]


def test_page_when_sent_again_then_what_was_written_down_is_not_replaced(story, cron, operator):
    seen = seen_on(operator, cron)
    new = shown(rotate(operator, cron, seen=seen))
    again = rotate(operator, cron, seen=seen)
    assert again["Location"] == at(cron, "change")
    assert "The secret was changed meanwhile" in text_of(operator.get(at(cron, "change")))
    assert gets_in(story, OLD)
    assert gets_in(story, new)
    assert len(events("client.secret_rotated")) == 1


@pytest.mark.parametrize("how", ["by hand", "by a script"])
def test_secret_when_set_in_another_way_then_a_former_one_ends_too(story, cron, operator, how):
    rotated = shown(rotate(operator, cron))
    cron.refresh_from_db()
    if how == "by hand":
        cron.client_secret = "set-by-hand-and-of-good-length"
        cron.save()
    else:
        hashed = toolkit.hashed_secret("set-by-hand-and-of-good-length")
        type(cron).objects.filter(pk=cron.pk).update(client_secret=hashed)
    assert not gets_in(story, OLD)
    assert not gets_in(story, rotated)
    assert gets_in(story, "set-by-hand-and-of-good-length")
    assert "The previous secret works until" not in text_of(operator.get(at(cron, "change")))


def test_client_when_disabled_then_neither_gets_in(story, cron, operator):
    new = shown(rotate(operator, cron))
    assert gets_in(story, OLD)
    ClientPolicy.objects.filter(application=cron).update(enabled=False)
    assert [gets_in(story, each) for each in (OLD, new)] == [False, False]


def test_client_when_deleted_then_its_former_secret_goes_too(cron, operator):
    rotate(operator, cron)
    answer = operator.post(at(cron, "delete"), {"post": "yes"})
    assert answer.status_code == 302
    assert not PreviousSecret.objects.exists()


def test_client_without_a_policy_when_its_secret_is_replaced_then_it_still_has_none(
    story, cron, operator, settings
):
    settings.DELEGATION = {
        **settings.DELEGATION,
        "DEFAULT_AUDIENCE": "https://service-a.example.com",
    }
    ClientPolicy.objects.filter(application=cron).delete()
    new = shown(rotate(operator, cron))
    assert [gets_in(story, each) for each in (OLD, new)] == [True, True]
    assert not ClientPolicy.objects.filter(application=cron).exists()


def test_secret_when_kept_readable_by_the_site_then_neither_is_after_a_replacement(
    story, cron, operator
):
    type(cron).objects.filter(pk=cron.pk).update(client_secret=OLD, hash_client_secret=False)
    new = shown(rotate(operator, cron))
    assert [gets_in(story, each) for each in (OLD, new)] == [True, True]
    cron.refresh_from_db()
    kept = (cron.client_secret, *PreviousSecret.objects.values_list("hashed").get())
    assert not any(secret in text for text in kept for secret in (OLD, new))


def test_secret_when_shown_then_nothing_else_has_it(cron, operator):
    response = rotate(operator, cron)
    new = shown(response)
    assert "no-store" in response["Cache-Control"]
    assert not response.cookies.get("messages")
    assert new not in str(dict(operator.session.items()))
    assert not any(new in str(event.details) for event in AuditEvent.objects.all())
    for deed in ("new_secret", "change", "history", "end_former_secret", "delete"):
        assert new not in operator.get(at(cron, deed)).content.decode()
    row = PreviousSecret.objects.values().get()
    cron.refresh_from_db()
    assert new not in str([row, str(PreviousSecret.objects.get()), cron.client_secret])
    for secret in (row["hashed"], row["current_digest"][:9], row["successor_digest"][:9]):
        assert secret not in operator.get(at(cron, "change")).content.decode()


def test_wrong_secret_when_a_former_one_goes_on_then_it_costs_one_slow_hash_as_ever(
    story, cron, operator, monkeypatch
):
    """As an unknown client does: nobody can time which clients have two."""
    new = shown(rotate(operator, cron))
    spent = []
    for name in ("check_password", "make_password"):
        real = getattr(toolkit, name)
        monkeypatch.setattr(
            toolkit, name, lambda *args, real=real, **more: spent.append(1) or real(*args, **more)
        )
    monkeypatch.setattr(authentication, "_verified", authentication._VerifiedSecrets())

    def cost(secret, row=None):
        spent.clear()
        gets_in(story, secret, row)
        return len(spent)

    other = story.world.service_a_client
    unknown = type(cron)(client_id="nobody")
    assert [cost("wrong", row) for row in (cron, other.row, unknown)] == [1, 1, 1]
    assert [cost(other.secret, other.row) for _ in range(2)] == [1, 0]
    assert [cost(OLD) for _ in range(2)] == [1, 0]
    assert cost(new) == 0


@pytest.mark.parametrize("kind", ["public", "nobody", "NUL"])
@pytest.mark.parametrize("deed", ["new_secret", "end_former_secret"])
def test_deed_when_there_is_no_secret_to_replace_then_404_and_no_button(
    world, operator, kind, deed
):
    if kind == "public":
        assert "new-secret" not in operator.get(at(world.mobile.row, "change")).content.decode()
    key = {"public": world.mobile.row.pk, "nobody": 4711, "NUL": "a\x00b"}[kind]
    address = page("application", deed, key, app="oauth2_provider")
    assert operator.get(address).status_code == 404
    assert operator.post(address, {"overlap": 0, "seen": "x"}).status_code == 404


@pytest.mark.parametrize("fields", [{}, {"overlap": "5"}, {"overlap": "-1"}, {"overlap": "x"}])
def test_form_when_it_is_no_choice_of_ours_then_it_is_asked_again(cron, operator, fields):
    response = operator.post(at(cron), {"seen": seen_on(operator, cron), **fields})
    assert response.status_code == 200
    assert 'class="errorlist"' in response.content.decode()
    assert not events("client.secret_rotated")


def test_permission_when_it_is_the_only_one_then_it_gives_this_and_nothing_else(cron):
    user = person("staff")
    may = ["view_application", "view_clientpolicy", "rotate_secret_clientpolicy"]
    user.user_permissions.set(Permission.objects.filter(codename__in=may))
    client = SecureClient()
    client.force_login(user)
    html_of = client.get(at(cron, "change")).content.decode()
    assert "new-secret" in html_of
    assert 'name="client_secret"' not in html_of
    assert "of-client" not in client.get(at(cron)).content.decode()
    assert shown(rotate(client, cron))
    assert client.post(at(cron, "change"), {}).status_code == 403


@pytest.mark.parametrize("lacks", ["rotate_secret_clientpolicy", "view_application"])
def test_permission_when_one_of_two_is_missing_then_403(cron, lacks):
    user = person("operator")
    user.user_permissions.remove(*Permission.objects.filter(codename=lacks))
    if lacks == "view_application":
        user.user_permissions.remove(*Permission.objects.filter(codename="change_application"))
    client = SecureClient()
    client.force_login(user)
    for deed in ("new_secret", "end_former_secret"):
        assert client.get(at(cron, deed)).status_code == 403
        assert client.post(at(cron, deed), {"overlap": 0, "seen": "x"}).status_code == 403
    assert not events("client.secret_rotated")


def test_auditor_when_looking_at_a_client_then_there_is_no_button(cron):
    html_of = browser("auditor").get(at(cron, "change")).content.decode()
    assert "new-secret" not in html_of


def test_former_secret_when_it_has_ended_then_it_proves_nothing_whatever_the_cache_knows(
    story, cron, operator
):
    rotate(operator, cron)
    assert gets_in(story, OLD)
    past = PreviousSecret.objects.get().ends_at - timedelta(days=2)
    PreviousSecret.objects.update(ends_at=past)
    assert not gets_in(story, OLD)
