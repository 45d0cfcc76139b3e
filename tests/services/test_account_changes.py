"""What a changed password or e-mail address leaves on record, and what it ends."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.core import serializers
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from delegation_app.models import AuditEvent, Delegation
from delegation_app.services import audit
from delegation_app.services.delegations import user_lifecycle
from tests.support.world import PASSWORD, Story, delegation_of

OTHER = "another correct horse battery staple"
PASSWORD_CHANGED, EMAIL_CHANGED = "user.password_changed", "user.email_changed"


@pytest.fixture
def alice(world):
    users = get_user_model().objects.filter(pk=world.alice.pk)
    users.update(email="alice@example.com")
    return users.get()


@pytest.fixture
def revoking(settings):
    settings.DELEGATION = {
        **settings.DELEGATION,
        "ON_PASSWORD_CHANGE": "revoke",
        "ON_EMAIL_CHANGE": "revoke",
    }


def events():
    return list(AuditEvent.objects.order_by("pk").values_list("event", flat=True))


def set_password(user):
    user.set_password(OTHER)
    user.save()


def set_password_alone(user):
    user.set_password(OTHER)
    user.save(update_fields=["password"])


def write_the_hash(user):
    user.password = make_password(OTHER)
    user.save()


def write_the_hash_alone(user):
    user.password = make_password(OTHER)
    user.save(update_fields=["password"])


def reset_form(user):
    form = SetPasswordForm(user, {"new_password1": OTHER, "new_password2": OTHER})
    assert form.is_valid()
    form.save()


def no_password(user):
    user.set_unusable_password()
    user.save()


def proxy(user):
    model = type("Person", (type(user),), {"Meta": Proxy, "__module__": __name__})
    set_password(model.objects.get(pk=user.pk))


class Proxy:
    proxy = True
    app_label = "auth"


WAYS = [
    set_password,
    set_password_alone,
    write_the_hash,
    write_the_hash_alone,
    reset_form,
    no_password,
]


@pytest.mark.parametrize("way", WAYS)
def test_password_when_changed_then_one_event_and_by_default_nothing_ends(alice, world, way):
    tokens = Story(world, alice).tokens()
    before = len(events())
    way(alice)
    assert events()[before:] == [PASSWORD_CHANGED]
    event = AuditEvent.objects.get(event=PASSWORD_CHANGED)
    assert (event.subject, event.actor) == (f"user:{alice.pk}", "system")
    assert event.details == {"consequence": "keep"}
    assert delegation_of(tokens).revoked_at is None


@pytest.mark.parametrize("way", WAYS)
def test_password_when_changed_and_the_site_wants_it_then_all_of_the_user_ends(
    alice, world, revoking, way
):
    story = Story(world, alice)
    tokens = story.tokens()
    bobs = Story(world, world.bob).tokens()
    way(alice)
    assert events()[-2:] == [PASSWORD_CHANGED, "delegation.revoked"]
    assert not story.is_active(tokens["access_token"])
    assert story.refresh(tokens["refresh_token"]).status_code == 400
    delegation = delegation_of(tokens)
    assert (delegation.revoked_by, delegation.revocation_reason) == (
        "system",
        "the password was changed",
    )
    assert delegation_of(bobs).revoked_at is None
    # The user is asked again
    story.browser.force_login(get_user_model().objects.get(pk=alice.pk))
    assert story.authorize().status_code == 200


def test_password_when_set_for_the_first_time_then_on_record(alice):
    no_password(alice)
    set_password(alice)
    assert events() == [PASSWORD_CHANGED] * 2


def test_password_when_it_stays_unusable_then_it_is_no_change(alice):
    no_password(alice)
    for _ in range(3):
        no_password(alice)
    assert events() == [PASSWORD_CHANGED]


@pytest.mark.parametrize("iterations", [False, True], ids=["other hasher", "more iterations"])
def test_password_when_a_sign_in_hashes_it_again_then_it_is_no_change(
    alice, world, settings, revoking, iterations
):
    tokens = Story(world, alice).tokens()
    before, old = len(events()), alice.password
    if iterations:
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
        old = PBKDF2PasswordHasher().encode(PASSWORD, "salt" * 6, 1000)
        get_user_model().objects.filter(pk=alice.pk).update(password=old)
    else:
        settings.PASSWORD_HASHERS = [
            "django.contrib.auth.hashers.PBKDF2PasswordHasher",
            "django.contrib.auth.hashers.MD5PasswordHasher",
        ]
    browser = Story(world).browser
    signed_in = browser.post("/accounts/login/", {"username": "alice", "password": PASSWORD})
    assert signed_in.status_code == 303
    alice.refresh_from_db()
    assert alice.password != old
    assert events()[before:] == []
    assert delegation_of(tokens).revoked_at is None
    # And a change of the one that is hashed anew is a change
    set_password_alone(alice)
    assert events()[before:] == [PASSWORD_CHANGED, "delegation.revoked"]


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("alice@example.com", "bob@example.com", True),
        ("alice@example.com", "", True),
        ("", "alice@example.com", True),
        ("alice@example.com", "Alice@example.com", True),
        ("alice@example.com", "alice@EXAMPLE.com", False),
        ("alice@example.com", "alice@example.com", False),
        ("", "", False),
    ],
)
def test_email_when_changed_then_one_event_without_an_address(alice, old, new, changed):
    get_user_model().objects.filter(pk=alice.pk).update(email=old)
    alice.email = new
    alice.save()
    assert events() == [EMAIL_CHANGED] * changed
    assert not AuditEvent.objects.filter(details__icontains="example").exists()


def test_email_when_changed_and_the_site_wants_it_then_all_of_the_user_ends(alice, world, revoking):
    tokens = Story(world, alice).tokens()
    alice.email = "new@example.com"
    alice.save(update_fields=["email"])
    assert delegation_of(tokens).revocation_reason == "the e-mail address was changed"


def test_user_when_both_are_changed_at_once_then_two_events(alice):
    alice.email = "new@example.com"
    set_password(alice)
    assert events() == [PASSWORD_CHANGED, EMAIL_CHANGED]


def test_user_when_an_old_copy_is_saved_then_what_is_stored_decides(alice):
    copy = get_user_model().objects.get(pk=alice.pk)
    set_password(alice)
    assert events() == [PASSWORD_CHANGED]
    # Brings the old password back
    copy.save()
    assert events() == [PASSWORD_CHANGED] * 2


def test_user_when_created_or_loaded_from_a_dump_then_nothing_is_changed(alice):
    user = get_user_model().objects.create_user("carol", "carol@example.com", PASSWORD)
    text = serializers.serialize("json", [user]).replace("carol@example.com", "c@example.com")
    for one in serializers.deserialize("json", text):
        one.save()
    assert events() == []


def test_user_when_something_else_is_saved_then_nothing_is_read_for_it(alice):
    with CaptureQueriesContext(connection) as captured:
        alice.save(update_fields=["last_login"])
    assert len(captured) == 1
    assert events() == []


def test_command_when_it_changes_a_password_then_on_record(alice, monkeypatch):
    monkeypatch.setattr("getpass.getpass", lambda **_: OTHER)
    call_command("changepassword", "alice", verbosity=0)
    assert events() == [PASSWORD_CHANGED]


def test_proxy_of_the_user_model_when_saved_then_on_record(alice):
    proxy(alice)
    assert events() == [PASSWORD_CHANGED]


def test_password_when_it_lives_elsewhere_then_a_site_can_say_that_it_changed(
    alice, world, revoking
):
    tokens = Story(world, alice).tokens()
    assert user_lifecycle.password_changed(alice, audit.RequestContext("user:99")) == 1
    assert delegation_of(tokens).revoked_by == "user:99"
    assert user_lifecycle.email_changed(alice) == 0
    assert AuditEvent.objects.get(event=PASSWORD_CHANGED).actor == "user:99"


def test_revocation_when_the_save_is_rolled_back_then_nothing_has_ended(alice, world, revoking):
    tokens = Story(world, alice).tokens()
    with transaction.atomic():
        set_password(alice)
        transaction.set_rollback(True)
    assert delegation_of(tokens).revoked_at is None
    assert PASSWORD_CHANGED not in events()
    assert Delegation.objects.live().exists()
