"""Signing keys: made once, published before they sign, withdrawn, lost and unknown."""

from types import SimpleNamespace

import jwt
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from delegation_app.models import AccessToken, AuditEvent, SigningKey
from delegation_app.protocol import jose, jwk
from delegation_app.services import audit, signing_keys
from delegation_app.services.tokens import local_verifier
from tests.support.answers import nothing_stored, recorded
from tests.support.statuses import reference
from tests.support.world import SERVICE_A, claims_of

OPERATOR = audit.RequestContext("user:99")


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


def test_keys_when_first_needed(story):
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


def test_keys_when_made_by_another_process_first(story):
    kids = published(story)
    signing_keys._make_first()
    signing_keys.forget()
    assert published(story) == kids
    assert AuditEvent.objects.filter(event="key.created").count() == 2


def test_database_when_it_has_two_active_or_two_next_keys(story):
    published(story)
    for row in SigningKey.objects.all():
        row.pk, row.kid = None, f"copy-of-{row.kid}"[:64]
        row._state.adding = True
        with pytest.raises(Exception, match=r"(?i)unique"), transaction.atomic():
            row.save()


# Rotation


@pytest.mark.conformance("MD-11")
def test_rotation_when_done(story, clock):
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


def test_rotation_when_the_next_key_is_not_known_everywhere(story, clock):
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
def test_retired_key_when_its_last_token_has_expired(story, clock, lifetime, seconds):
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


def test_retired_key_when_the_longest_token_was_signed_last(story, clock):
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


def test_process_when_it_missed_a_rotation(story, clock):
    first = token_of(story)
    upcoming = rotated_elsewhere()
    second = token_of(story)
    assert kid_of(second) == upcoming != kid_of(first)
    assert story.is_active(first)
    assert story.is_active(second)


def test_rotation_when_the_algorithm_changes(story, clock, settings):
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


# At rest


def test_private_key_when_stored(story, clock):
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


def test_signer_when_shown_or_logged(story):
    assert "key=" not in repr(signing_keys.signer())
    assert "PrivateKey" not in repr(signing_keys.signer())


def test_secret_key_when_changed_with_a_fallback(story, settings, other_secret):
    # The first keys are made under the old secret
    new, settings.SECRET_KEY = settings.SECRET_KEY, other_secret
    old, refresh_token = token_of(story), story.tokens()["refresh_token"]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = new, [other_secret]
    signing_keys.forget()
    assert story.is_active(old)
    assert kid_of(token_of(story)) == kid_of(old)
    assert story.refresh(refresh_token).status_code == 200


def test_secret_key_when_the_keys_were_rotated_once(story, settings, clock, other_secret):
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


def test_key_encryption_key_when_configured(story, settings):
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


# Keys that cannot be decrypted, and tables that are other ones than a moment ago
# Django 6.1 names it anew
savepoint = getattr(transaction, "savepoint_create", transaction.savepoint)


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


def test_secret_key_when_changed_without_a_fallback(story, settings, lost, caplog):
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


def test_status_list_when_it_can_not_be_signed(story, lost):
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
def test_discarding_when_keys_are_unreadable(story, left):
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


def test_discarding_when_every_key_can_be_read(story):
    token_of(story)
    with nothing_stored(), recorded(), pytest.raises(signing_keys.NothingUnreadable):
        signing_keys.discard_unreadable(OPERATOR)


@pytest.mark.parametrize("withdraw", [False, True])
def test_rotation_when_the_next_key_is_unreadable(story, withdraw):
    token_of(story)
    SigningKey.objects.filter(state="next").update(encrypted_private_key=b"junk")
    with recorded(), pytest.raises(signing_keys.UnreadableKey):
        signing_keys.rotate(OPERATOR, force=True, withdraw=withdraw)


def test_withdrawal_when_only_the_stolen_key_is_unreadable(story):
    stolen = kid_of(token_of(story))
    SigningKey.objects.filter(state="active").update(encrypted_private_key=b"junk")
    signing_keys.rotate(OPERATOR, withdraw=True)
    assert stolen not in published(story)


def test_secret_key_when_changed_at_run_time(story, lost):
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
def test_keys_when_the_tables_are_other_ones(story, change):
    first = kid_of(token_of(story))
    change()
    token = token_of(story)
    assert kid_of(token) != first
    assert kid_of(token) in published(story)
    assert story.is_active(token)


def test_keys_when_a_transaction_is_rolled_back(story):
    undone = savepoint()
    first = kid_of(token_of(story))
    transaction.savepoint_rollback(undone)
    token = token_of(story)
    assert kid_of(token) != first
    assert SigningKey.objects.filter(kid=kid_of(token)).exists()
    assert story.is_active(token)


# Keys that a process does not know yet, or that are gone: what they signed is still ours
@pytest.fixture
def two_withdrawals(story):
    """A token signed with a key that was not published when this process read the keys."""
    published(story)
    before = signing_keys._memory.known
    for _ in range(2):
        rotated_elsewhere(withdraw=True)
    tokens = story.tokens()
    assert kid_of(tokens["access_token"]) not in before.published
    signing_keys._memory.known = before
    return tokens


def is_verified(story, token):
    return local_verifier.verify(token, SERVICE_A).jti == claims_of(token)["jti"]


@pytest.mark.parametrize("act", ["introspect", "exchange", "verify", "revoke"])
def test_unknown_kid_when_two_keys_were_withdrawn(story, two_withdrawals, act):
    token = two_withdrawals["access_token"]
    acts = {
        "introspect": story.is_active,
        "exchange": lambda token: story.exchange(token).status_code == 200,
        "verify": lambda token: is_verified(story, token),
        "revoke": lambda token: story.revoke(token).status_code == 200,
    }
    assert acts[act](token)
    assert story.is_active(token) == (act != "revoke")


def test_unknown_kid_when_made_up(story, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(signing_keys, "time", SimpleNamespace(monotonic=lambda: now))
    published(story)
    with CaptureQueriesContext(connection) as captured:
        for number in range(20):
            assert signing_keys.key_for(f"made-up-{number}") is None
    assert len(captured) == 1
    now += 1
    with CaptureQueriesContext(connection) as captured:
        signing_keys.key_for("made-up")
    assert len(captured) == 1


def test_unknown_kid_when_the_keys_were_read_a_moment_ago(story):
    published(story)
    before = signing_keys._memory.known
    kid = rotated_elsewhere()
    new = SigningKey.objects.get(state="next").kid
    assert signing_keys._memory.known is before
    assert kid in before.published
    assert signing_keys.key_for(new) is not None


def test_revocation_when_the_key_is_gone(story):
    tokens = story.tokens()
    token, world = tokens["access_token"], story.world
    signing_keys.rotate(OPERATOR, withdraw=True)
    row = AccessToken.objects.get(jti=claims_of(token)["jti"])

    # Nobody else learns that there is such a token, or ends it
    stranger = story.revoke(token, world.other)
    unknown = story.revoke("unknown", world.other)
    assert (stranger.status_code, stranger.content) == (unknown.status_code, unknown.content)
    row.refresh_from_db()
    assert row.revoked_at is None

    assert story.revoke(token).status_code == 200
    row.refresh_from_db()
    assert row.revoked_at is not None
    assert AuditEvent.objects.filter(event="token.revoked", jti=row.jti).count() == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda head, body, end: f"{head}.{body}.{end[:-4]}AAAA",
        lambda head, body, end: f"{head}.{body}.",
        lambda head, body, end: f"{head}.{body}",
        lambda head, body, end: f"{body}.{body}.{end}",
    ],
)
def test_revocation_when_the_key_is_known_and_the_signature_wrong(story, change):
    token = story.tokens()["access_token"]
    assert story.revoke(change(*token.split("."))).status_code == 200
    assert story.is_active(token)


@pytest.mark.parametrize(
    ("claim", "value"),
    [("iss", "https://evil.example"), ("jti", "short"), ("jti", 7), ("jti", None)],
)
def test_revocation_when_the_key_is_unknown_and_the_token_none_of_ours(story, claim, value):
    token = story.tokens()["access_token"]
    private = jwk.generate("ES256")
    forged = jose.sign(
        {**claims_of(token), claim: value},
        jose.SigningIdentity("unknown", "ES256", private),
        typ="at+jwt",
    )
    assert story.revoke(forged).status_code == 200
    assert story.is_active(token)
