from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from delegation_app.models import AuditEvent, SigningKey
from delegation_app.services import signing_keys


def run(*arguments):
    out = StringIO()
    call_command("rotate_signing_keys", *arguments, stdout=out)
    return out.getvalue()


def test_rotate_when_the_next_key_is_known_then_it_signs_and_says_so(db):
    before = signing_keys.signer().kid
    SigningKey.objects.update(created_at=timezone.now() - timedelta(hours=1))
    upcoming = SigningKey.objects.get(state="next").kid
    assert run() == f"Key {upcoming} signs from now on; {before} is retired.\n"
    assert signing_keys.signer().kid == upcoming
    assert AuditEvent.objects.get(event="key.rotated").actor == "system"


def test_rotate_when_it_is_too_early_then_it_fails_with_the_seconds(db):
    before = signing_keys.signer().kid
    with pytest.raises(CommandError, match="may sign in 300 seconds"):
        run()
    assert signing_keys.signer().kid == before


def test_rotate_when_forced_then_it_does_not_wait(db):
    before = signing_keys.signer().kid
    assert f"{before} is retired" in run("--force")


def test_rotate_when_the_key_was_stolen_then_what_it_signed_is_refused(story):
    token = story.tokens()["access_token"]
    assert story.is_active(token)

    run("--withdraw")

    assert not story.is_active(token)
    assert story.is_active(story.tokens()["access_token"])


def test_rotate_when_tokens_live_longer_than_the_settings_say_then_the_key_does_too(story):
    story.world.web.change(access_token_lifetime=86_400)
    token = story.tokens()["access_token"]
    story.world.web.change(access_token_lifetime=None)

    run("--force")

    retired = SigningKey.objects.get(state="retired")
    assert retired.expires_at > timezone.now() + timedelta(days=1)
    assert story.is_active(token)


def lose(*states):
    SigningKey.objects.filter(state__in=states).update(encrypted_private_key=b"junk")
    signing_keys.forget()


def test_discard_when_keys_are_unreadable_then_others_sign_and_old_tokens_stay_valid(story):
    token = story.tokens()["access_token"]
    lost = set(SigningKey.objects.values_list("kid", flat=True))
    lose("active", "next")

    said = run("--discard-unreadable")

    assert said.startswith(f"Key {signing_keys.active_kid()} signs from now on; ")
    assert all(kid in said for kid in lost)
    assert story.is_active(token)
    assert story.is_active(story.tokens()["access_token"])


def test_discard_when_every_key_can_be_read_then_it_fails_and_changes_nothing(db):
    before = signing_keys.active_kid()
    with pytest.raises(CommandError, match="nothing was changed"):
        run("--discard-unreadable")
    assert signing_keys.active_kid() == before


@pytest.mark.parametrize("option", ["--force", "--withdraw"])
def test_discard_when_it_is_combined_then_it_fails(db, option):
    lose("active", "next")
    with pytest.raises(CommandError, match="neither"):
        run("--discard-unreadable", option)


def test_rotate_when_the_next_key_is_unreadable_then_it_names_the_way_out(db):
    signing_keys.active_kid()
    lose("active", "next")
    with pytest.raises(CommandError, match="--discard-unreadable"):
        run("--force")


def test_withdraw_when_only_the_active_key_is_unreadable_then_it_is_done(db):
    before = signing_keys.active_kid()
    lose("active")
    assert f"{before} is retired" in run("--withdraw")
