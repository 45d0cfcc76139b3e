"""Keys that cannot be decrypted, and tables that are other ones than a moment ago."""

import jwt
import pytest
from django.db import transaction

from delegation_app.models import AuditEvent, SigningKey
from delegation_app.services import audit, signing_keys
from delegation_app.services.tokens import local_verifier
from tests.support.answers import nothing_stored, recorded
from tests.support.statuses import reference
from tests.support.world import SERVICE_A

# Django 6.1 names it anew
savepoint = getattr(transaction, "savepoint_create", transaction.savepoint)

OPERATOR = audit.RequestContext("user:99")


def published(story):
    return {key["kid"]: key for key in story.wire.get("/oauth/jwks").json()["keys"]}


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


def token_of(story):
    return story.client_credentials().json()["access_token"]


FORMER = "another key for tests, of no value to anyone"


@pytest.fixture
def lost(story, settings):
    """Tokens, a code and keys of a site whose secret was FORMER and is another one now."""
    new, settings.SECRET_KEY = settings.SECRET_KEY, FORMER
    story.browser.force_login(story.world.alice)
    tokens, code = story.tokens(), story.code(prompt="consent")
    settings.SECRET_KEY = new
    story.browser.force_login(story.world.alice)
    return tokens, code


def test_secret_key_when_changed_without_a_fallback_then_nothing_is_signed_or_lost(
    story, settings, lost, caplog
):
    tokens, code = lost
    for _ in range(3):
        refused = story.redeem(code)
        assert (refused.status_code, refused.json()["error"]) == (503, "temporarily_unavailable")
        assert int(refused["Retry-After"]) > 0
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert sum("rotate_signing_keys --discard-unreadable" in line for line in lines) == 1
    # What needs no private half goes on
    assert kid_of(tokens["access_token"]) in published(story)
    assert story.is_active(tokens["access_token"])
    assert local_verifier.verify(tokens["access_token"], SERVICE_A)
    assert story.wire.get("/.well-known/oauth-authorization-server").status_code == 200
    # Whoever puts the secret back finds everything as it was, the code too
    settings.SECRET_KEY = FORMER
    assert story.redeem(code).status_code == 200
    assert story.is_active(tokens["access_token"])


def test_status_list_when_it_can_not_be_signed_then_503_and_not_500(story, lost):
    response = story.wire.get(reference(lost[0]["access_token"])[0])
    # Under a secret that is gone, its address is none of ours
    assert response.status_code == 404
    signing_keys.discard_unreadable(OPERATOR)
    token = token_of(story)
    path = reference(token)[0]
    SigningKey.objects.filter(state="active").update(encrypted_private_key=b"junk")
    signing_keys.forget()
    response = story.wire.get(path)
    assert response.status_code == 503
    assert response.json()["error"] == "temporarily_unavailable"


@pytest.mark.parametrize("left", [[], ["next"], ["active"]])
def test_discarding_when_keys_are_unreadable_then_others_sign_and_old_tokens_stay_valid(
    story, left
):
    old = token_of(story)
    kids = dict(SigningKey.objects.values_list("state", "kid"))
    SigningKey.objects.exclude(state__in=left).update(encrypted_private_key=b"junk")
    signing_keys.forget()

    active = signing_keys.discard_unreadable(OPERATOR)

    new = token_of(story)
    expected = {"next": kids["next"], "active": kids["active"]}.get("".join(left))
    assert kid_of(new) == active.kid
    assert active.kid == expected if left else active.kid not in kids.values()
    assert story.is_active(old)
    assert story.is_active(new)
    assert sorted(SigningKey.objects.exclude(state="retired").values_list("state", flat=True)) == [
        "active",
        "next",
    ]
    assert signing_keys.unreadable() == []
    event = AuditEvent.objects.get(event="key.rotated")
    assert event.details["active"] == active.kid
    assert set(event.details["discarded"]) == {
        kid for state, kid in kids.items() if state not in left
    }
    assert event.actor == "user:99"


def test_discarding_when_every_key_can_be_read_then_nothing_changes(story):
    token_of(story)
    with nothing_stored(), recorded(), pytest.raises(signing_keys.NothingUnreadable):
        signing_keys.discard_unreadable(OPERATOR)


@pytest.mark.parametrize("withdraw", [False, True])
def test_rotation_when_the_next_key_is_unreadable_then_it_is_refused_and_nothing_changes(
    story, withdraw
):
    token_of(story)
    SigningKey.objects.filter(state="next").update(encrypted_private_key=b"junk")
    with recorded(), pytest.raises(signing_keys.UnreadableKey):
        signing_keys.rotate(OPERATOR, force=True, withdraw=withdraw)


def test_withdrawal_when_only_the_stolen_key_is_unreadable_then_it_is_done(story):
    stolen = kid_of(token_of(story))
    SigningKey.objects.filter(state="active").update(encrypted_private_key=b"junk")
    signing_keys.rotate(OPERATOR, withdraw=True)
    assert stolen not in published(story)


def test_secret_key_when_changed_at_run_time_then_the_remembered_key_is_not_used(story, lost):
    assert story.client_credentials().status_code == 503


# Tables that are other ones than before


def emptied():
    SigningKey.objects.all().delete()


def restored():
    """As after a dump of another day is loaded."""
    rows = list(SigningKey.objects.all())
    SigningKey.objects.all().delete()
    signing_keys._make_first()
    return rows


@pytest.mark.parametrize("change", [emptied, restored])
def test_keys_when_the_tables_are_other_ones_then_tokens_are_signed_with_what_they_have(
    story, change
):
    first = kid_of(token_of(story))
    change()
    token = token_of(story)
    assert kid_of(token) != first
    assert kid_of(token) in published(story)
    assert story.is_active(token)


def test_keys_when_a_transaction_is_rolled_back_then_its_keys_are_not_used(story):
    undone = savepoint()
    first = kid_of(token_of(story))
    transaction.savepoint_rollback(undone)
    token = token_of(story)
    assert kid_of(token) != first
    assert SigningKey.objects.filter(kid=kid_of(token)).exists()
    assert story.is_active(token)
