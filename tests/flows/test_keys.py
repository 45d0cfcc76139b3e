"""Signing keys: made once, published before they sign, gone after the last token they signed."""

import threading

import jwt
import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from delegation_app.models import AuditEvent, SigningKey
from delegation_app.services import audit, signing_keys
from tests.support.world import claims_of

OPERATOR = audit.RequestContext("user:99")
WORKERS = 8


def published(story):
    return {key["kid"]: key for key in story.wire.get("/oauth/jwks").json()["keys"]}


def kid_of(token):
    return jwt.get_unverified_header(token)["kid"]


def rotate(clock, **options):
    """Wait until the next key is known everywhere, then rotate."""
    clock.forward(seconds=300)
    signing_keys.rotate(OPERATOR, **options)


def token_of(story):
    return story.client_credentials().json()["access_token"]


@pytest.fixture
def other_secret(settings):
    """The site's secret is another one from now on; the old one is no fallback yet."""
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another key for tests, of no value to anyone"
    return old


def test_keys_when_first_needed_then_one_signs_and_the_next_is_published_already(story):
    assert SigningKey.objects.count() == 0
    kids = published(story)
    states = dict(SigningKey.objects.values_list("kid", "state"))
    assert sorted(states.values()) == ["active", "next"]
    assert kids.keys() == states.keys()
    assert states[kid_of(token_of(story))] == "active"
    assert list(AuditEvent.objects.filter(event="key.created").values_list("actor", flat=True)) == [
        "system",
        "system",
    ]


def test_keys_when_made_by_another_process_first_then_these_are_used(story):
    kids = published(story)
    signing_keys._make_first()
    signing_keys.forget()
    assert published(story) == kids
    assert AuditEvent.objects.filter(event="key.created").count() == 2


@pytest.mark.many_connections
@pytest.mark.django_db(transaction=True)
def test_keys_when_first_needed_by_many_at_once_then_one_pair_is_made():
    barrier, signers, failures = threading.Barrier(WORKERS), [], []

    def first_use():
        try:
            barrier.wait()
            signing_keys._make_first()
            signing_keys._read()
            signers.append(signing_keys.signer().kid)
        except Exception as error:  # noqa: BLE001 - a thread's exception would be lost
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=first_use) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(SigningKey.objects.values_list("state", flat=True)) == ["active", "next"]
    assert AuditEvent.objects.filter(event="key.created").count() == 2
    assert len(signers) == WORKERS
    assert len(set(signers)) == 1


def test_database_when_it_has_two_active_or_two_next_keys_then_it_refuses(story):
    published(story)
    for row in SigningKey.objects.all():
        row.pk, row.kid = None, f"copy-of-{row.kid}"[:64]
        row._state.adding = True
        with pytest.raises(Exception, match=r"(?i)unique"), transaction.atomic():
            row.save()


# Rotation


@pytest.mark.conformance("MD-11")
def test_rotation_when_done_then_the_new_key_was_published_before_and_old_tokens_live(story, clock):
    before, old = published(story), token_of(story)
    rotate(clock)
    new = token_of(story)
    assert kid_of(new) != kid_of(old)
    assert kid_of(new) in before
    after = published(story)
    assert before.keys() < after.keys()
    assert len(after) == 3
    for token in (old, new):
        assert story.is_active(token)
        key = jwt.PyJWK(after[kid_of(token)])
        claims = jwt.decode(
            token,
            key,
            algorithms=["ES256"],
            audience="https://service-a.example.com",
            # The clock of this test is not PyJWT's
            options={"verify_iat": False, "verify_nbf": False},
        )
        assert claims["jti"] == claims_of(token)["jti"]


def test_rotation_when_the_next_key_is_not_known_everywhere_then_refused_unless_forced(
    story, clock
):
    first = kid_of(token_of(story))
    for seconds in (0, 299):
        clock.forward(seconds=seconds)
        with pytest.raises(signing_keys.TooEarly):
            signing_keys.rotate(OPERATOR)
    assert kid_of(token_of(story)) == first
    assert not AuditEvent.objects.filter(event="key.rotated").exists()
    signing_keys.rotate(OPERATOR, force=True)
    assert kid_of(token_of(story)) != first
    event = AuditEvent.objects.get(event="key.rotated")
    assert event.actor == "user:99"
    assert event.details["retired"] == first


@pytest.mark.conformance("MD-11")
@pytest.mark.parametrize(("lifetime", "seconds"), [(None, 600), (60, 600), (7200, 7200)])
def test_retired_key_when_its_last_token_has_expired_then_it_disappears(
    story, clock, lifetime, seconds
):
    story.world.other.change(access_token_lifetime=lifetime)
    old = token_of(story)
    rotate(clock)
    clock.forward(seconds=seconds + 10)
    signing_keys.forget()
    assert kid_of(old) in published(story)
    # 30 seconds during which other processes may sign with it still, and 10 of skew
    clock.forward(seconds=30)
    signing_keys.forget()
    assert kid_of(old) not in published(story)
    assert len(published(story)) == 2


def test_retired_key_when_the_longest_token_was_signed_last_then_it_is_valid_to_its_end(
    story, clock
):
    story.world.cron.change(access_token_lifetime=3600)
    token = token_of(story)
    signing_keys.rotate(OPERATOR, force=True)
    clock.forward(seconds=3599)
    signing_keys.forget()
    assert story.is_active(token)
    clock.forward(seconds=1)
    assert not story.is_active(token)


def rotated_elsewhere(**options):
    """Another process rotates: this one's memory stays as it is."""
    options = {"force": True, "withdraw": False, **options}
    return signing_keys._rotate(OPERATOR, **options).kid


def test_process_when_it_missed_a_rotation_then_it_signs_with_the_new_key_at_once(story, clock):
    first = token_of(story)
    upcoming = rotated_elsewhere()
    second = token_of(story)
    assert kid_of(second) == upcoming != kid_of(first)
    assert story.is_active(first)
    assert story.is_active(second)


def test_process_when_nothing_changed_then_it_reads_the_keys_once(story):
    token_of(story)
    with CaptureQueriesContext(connection) as captured:
        token_of(story)
    reads = [
        query["sql"] for query in captured if 'FROM "delegation_app_signingkey"' in query["sql"]
    ]
    # Beside the look at which one signs, as a part of another statement
    assert len(reads) == 1
    assert "oauth2_provider_application" in reads[0]


def test_rotation_when_the_algorithm_changes_then_tokens_of_both_are_valid(story, clock, settings):
    settings.DELEGATION = {**settings.DELEGATION, "ACCESS_TOKEN_LIFETIME": 3600}
    old = token_of(story)
    settings.DELEGATION = {**settings.DELEGATION, "SIGNING_ALGORITHM": "RS256"}
    rotate(clock)
    middle = token_of(story)
    rotate(clock)
    new = token_of(story)
    algorithms = [jwt.get_unverified_header(token)["alg"] for token in (old, middle, new)]
    assert algorithms == ["ES256", "ES256", "RS256"]
    assert all(story.is_active(token) for token in (old, middle, new))


def test_rotation_when_done_often_then_only_keys_with_living_tokens_are_published(story, clock):
    published(story)
    for _ in range(6):
        rotate(clock)
    # Retired keys live for 640 seconds, a rotation takes 300: at most three of them are left
    assert len(published(story)) == 2 + 3
    assert SigningKey.objects.count() == 8


# At rest


def test_private_key_when_stored_then_it_is_encrypted_and_wiped_at_retirement(story, clock):
    token_of(story)
    for row in SigningKey.objects.all():
        stored = bytes(row.encrypted_private_key)
        assert b"PRIVATE KEY" not in stored
        assert b"PRIVATE KEY" in signing_keys._box().decrypt(stored)
        assert set(row.public_jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    rotate(clock)
    retired = SigningKey.objects.get(state="retired")
    assert bytes(retired.encrypted_private_key) == b""
    assert all(
        bytes(row.encrypted_private_key) for row in SigningKey.objects.exclude(state="retired")
    )


def test_signer_when_shown_or_logged_then_the_key_is_not_in_it(story):
    assert "key=" not in repr(signing_keys.signer())
    assert "PrivateKey" not in repr(signing_keys.signer())


def test_secret_key_when_changed_with_a_fallback_then_tokens_go_on(story, settings, other_secret):
    # The first keys are made under the old secret
    new, settings.SECRET_KEY = settings.SECRET_KEY, other_secret
    old, refresh_token = token_of(story), story.tokens()["refresh_token"]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = new, [other_secret]
    signing_keys.forget()
    assert story.is_active(old)
    assert kid_of(token_of(story)) == kid_of(old)
    assert story.refresh(refresh_token).status_code == 200


def test_secret_key_when_the_keys_were_rotated_once_then_the_old_one_is_not_needed(
    story, settings, clock, other_secret
):
    new, settings.SECRET_KEY = settings.SECRET_KEY, other_secret
    old = token_of(story)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = new, [other_secret]
    signing_keys.forget()
    rotate(clock)
    settings.SECRET_KEY_FALLBACKS = []
    signing_keys.forget()
    assert story.is_active(token_of(story))
    assert story.is_active(old)
    rotate(clock)
    assert story.is_active(token_of(story))


def test_key_encryption_key_when_configured_then_the_sites_secret_does_not_matter(story, settings):
    settings.DELEGATION = {**settings.DELEGATION, "KEY_ENCRYPTION_KEY": ["new", "old"]}
    token = token_of(story)
    settings.SECRET_KEY = "another key for tests, of no value to anyone"
    signing_keys.forget()
    assert story.is_active(token)
    settings.DELEGATION = {**settings.DELEGATION, "KEY_ENCRYPTION_KEY": ["newest", "new"]}
    signing_keys.forget()
    assert kid_of(token_of(story)) == kid_of(token)
    settings.DELEGATION = {**settings.DELEGATION, "KEY_ENCRYPTION_KEY": "new"}
    signing_keys.forget()
    assert kid_of(token_of(story)) == kid_of(token)
