"""A client's secret costs a digest where a generator made it, and a slow hash if it was typed."""

import pytest
from django.core.cache import cache
from django.db import DatabaseError
from django.test import override_settings
from oauth2_provider.generators import ClientSecretGenerator, generate_client_secret
from oauth2_provider.settings import oauth2_settings

from delegation_app import toolkit
from delegation_app.models import AuditEvent, PreviousSecret, SecretDigest
from delegation_app.services.clients import authentication, secrets, throttle
from tests.admin.conftest import browser
from tests.admin.test_client_secret import rotate, shown
from tests.admin.test_clients import change_page, filled_in
from tests.flows.test_client_authentication import basic
from tests.support.answers import each, refused

pytestmark = pytest.mark.any_database

TYPED = "a-typed-secret-of-good-length-93b1"
DATA = {"grant_type": "client_credentials"}
# See tests/protocol/test_secrets.py: one of a few thousand would be taken for typed
RANDOM = "qD3vWm0ZkT-9xRb7Lf_uYc5HsJ2nPa8EwGtXo4iVdQM"


@pytest.fixture(autouse=True)
def _one_minute(monkeypatch):
    monkeypatch.setattr(throttle, "_minute", lambda: 30_000_000)


@pytest.fixture
def hashes(monkeypatch):
    """Every slow hash, as a list that grows."""
    spent = []
    for name in ("check_password", "make_password"):
        real = getattr(toolkit, name)
        monkeypatch.setattr(
            toolkit, name, lambda *args, real=real, **more: spent.append(1) or real(*args, **more)
        )
    return spent


@pytest.fixture
def cron(world):
    return world.cron.row


def set_secret(row, secret):
    row.client_secret = secret
    row.save()


def ask(story, secret, client_id="cron", *, anew=False, **headers):
    """Ask for a token; anew as the first request of a new process."""
    if anew:
        authentication.forget()
    authorization = basic(client_id, secret)
    return story.post("/oauth/token", DATA, HTTP_AUTHORIZATION=authorization, **headers)


def status(*args, **kwargs):
    return ask(*args, **kwargs).status_code


# Which secrets have a digest


def test_secret_when_made_on_the_page(story, cron, hashes):
    new = shown(rotate(browser("operator"), cron, 0))
    hashes.clear()
    assert status(story, new, anew=True) == 200
    assert hashes == []


@pytest.mark.parametrize("made", ["toolkit", "toolkit, shorter", "here"])
def test_random_secret_when_stored_as_the_toolkit_does(story, cron, hashes, made, monkeypatch):
    if made == "toolkit, shorter":
        monkeypatch.setattr(oauth2_settings, "CLIENT_SECRET_GENERATOR_LENGTH", 64)
    secret = RANDOM if made == "here" else generate_client_secret()
    set_secret(cron, secret)
    assert [status(story, secret, anew=True) for _ in range(3)] == [200] * 3
    assert len(hashes) == 1
    assert secret not in str(SecretDigest.objects.values())


@pytest.mark.parametrize("secret", [TYPED, "a" * 43, "b" * 128, "correct horse battery staple"])
def test_typed_secret_when_used(story, cron, hashes, secret):
    set_secret(cron, secret)
    assert [status(story, secret, anew=True) for _ in range(2)] == [200] * 2
    assert len(hashes) == 2
    assert [status(story, secret) for _ in range(2)] == [200] * 2
    assert len(hashes) == 2
    assert not SecretDigest.objects.exists()


def test_random_secret_when_the_site_has_its_own_generator(story, cron, monkeypatch):
    monkeypatch.setattr(oauth2_settings, "CLIENT_SECRET_GENERATOR_CLASS", object)
    secret = ClientSecretGenerator().hash()
    set_secret(cron, secret)
    assert status(story, secret) == 200
    assert not SecretDigest.objects.exists()


def test_secret_when_kept_readable(story, cron, hashes):
    type(cron).objects.filter(pk=cron.pk).update(client_secret=RANDOM, hash_client_secret=False)
    assert status(story, RANDOM, anew=True) == 200
    assert hashes == []
    assert not SecretDigest.objects.exists()


def test_digest_when_it_cannot_be_written(story, cron, monkeypatch):
    def fails(*_args, **_kwargs):
        raise DatabaseError

    set_secret(cron, RANDOM)
    with monkeypatch.context() as broken:
        broken.setattr(SecretDigest.objects, "bulk_create", fails)
        assert status(story, RANDOM) == 200
    assert not SecretDigest.objects.exists()
    assert status(story, RANDOM, anew=True) == 200
    assert SecretDigest.objects.get().application_id == cron.pk


# What ends one


def by_hand(cron, new):
    set_secret(cron, new)


def by_update(cron, new):
    hashed = toolkit.hashed_secret(new)
    type(cron).objects.filter(pk=cron.pk).update(client_secret=hashed)


def by_form(cron, new):
    operator, url = browser("operator"), change_page(cron)
    data = {**filled_in(operator, url), "client_secret": new}
    assert operator.post(url, data).status_code == 302


@pytest.mark.parametrize("change", [by_hand, by_update, by_form])
@pytest.mark.parametrize("new", [TYPED, "Zq8LmT0vXc3RbN7yKd5WsJ1hGp9UfAe2QoVi6MtBx4Y"])
def test_random_secret_when_another_one_is_set(story, cron, change, new):
    set_secret(cron, RANDOM)
    assert status(story, RANDOM) == 200
    assert SecretDigest.objects.exists()
    change(cron, new)
    assert status(story, RANDOM) == 401
    assert status(story, new) == 200
    assert status(story, RANDOM, anew=True) == 401


def test_random_secret_when_replaced_twice(story, cron, hashes):
    operator = browser("operator")
    made = [shown(rotate(operator, cron)) for _ in range(3)]
    hashes.clear()
    assert [status(story, secret, anew=True) for secret in made] == [401, 200, 200]
    # The one that a failure wastes
    assert len(hashes) == 1
    PreviousSecret.objects.update(ends_at="2020-01-01T00:00:00Z")
    assert [status(story, secret, anew=True) for secret in made] == [401, 401, 200]


def test_typed_secret_when_replaced(story, cron, hashes):
    set_secret(cron, TYPED)
    new = shown(rotate(browser("operator"), cron))
    hashes.clear()
    assert status(story, new, anew=True) == 200
    assert hashes == []
    assert [status(story, TYPED) for _ in range(2)] == [200, 200]
    assert len(hashes) == 1


def test_digest_when_its_client_is_deleted(cron):
    secrets.keep_digest(cron, RANDOM)
    cron.delete()
    assert not SecretDigest.objects.exists()


# What it costs to refuse


@pytest.mark.parametrize("method", ["basic", "post"])
@pytest.mark.parametrize("client_id", ["cron", "nobody"])
def test_secret_when_it_is_longer_than_any(story, world, hashes, method, client_id):
    secret = "x" * 1025
    if method == "basic":
        answer = ask(story, secret, client_id)
    else:
        data = {**DATA, "client_id": client_id, "client_secret": "x" * 60_000}
        answer = story.post("/oauth/token", data)
    refused(answer, "invalid_client", 401)
    # The one that every failure wastes, of a text of ours
    assert len(hashes) == 1


@pytest.mark.parametrize("secret", ["x" * 1024, "é" * 512])
def test_secret_when_it_is_as_long_as_the_limit(story, cron, secret):
    set_secret(cron, secret)
    data = {**DATA, "client_id": "cron", "client_secret": secret}
    assert story.post("/oauth/token", data).status_code == 200
    assert status(story, secret + "x") == 401


@pytest.mark.parametrize("known", ["typed", "typed and verified", "random"])
def test_failure_when_the_client_is_unknown_or_the_secret_wrong(story, cron, hashes, known):
    secret = RANDOM if known == "random" else TYPED
    set_secret(cron, secret)
    if known != "typed":
        assert status(story, secret) == 200
    for client_id in ("cron", "nobody"):
        hashes.clear()
        with each(client_id):
            assert [status(story, f"wrong {n}", client_id) for n in range(3)] == [401] * 3
            assert len(hashes) == 3


def test_unknown_clients_when_they_flood(story, world, hashes):
    codes = [status(story, "any", f"nobody-{number}") for number in range(200)]
    assert codes == [401] * 30 + [429] * 170
    assert len(hashes) == 10
    assert len(cache._cache) <= 40
    # Others are not punished for it
    assert status(story, "any", "nobody", REMOTE_ADDR="192.0.2.7") == 401
    assert len(hashes) == 10


def test_unknown_clients_when_they_come_from_many_addresses(story, world, hashes):
    for number in range(200):
        address = f"198.51.100.{number}"
        assert status(story, "any", f"nobody-{number}", REMOTE_ADDR=address) == 401
    assert len(hashes) == 10
    # A typed secret that nobody verified here is still judged
    assert status(story, world.cron.secret) == 200


def test_address_when_it_is_exhausted(story, cron):
    set_secret(cron, RANDOM)
    typed = story.world.service_a_client
    assert status(story, RANDOM) == status(story, typed.secret, typed.client_id) == 200
    for number in range(40):
        status(story, "any", f"nobody-{number}")
    assert status(story, "any", "nobody") == 429
    assert status(story, RANDOM) == status(story, typed.secret, typed.client_id) == 200
    assert status(story, RANDOM, anew=True) == 200
    assert status(story, typed.secret, typed.client_id) == 429
    assert status(story, typed.secret, typed.client_id, REMOTE_ADDR="192.0.2.7") == 200


def test_client_without_a_secret_when_it_floods(story, world):
    data = {**DATA, "client_id": "cron"}
    codes = [story.post("/oauth/token", data).status_code for _ in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert AuditEvent.objects.filter(event="request.refused").count() == 10


# Whose failures they are, where the address is unknown


def test_local_peer_when_it_writes_the_headers_of_a_proxy(story, world):
    codes = [status(story, f"wrong {n}", HTTP_X_FORWARDED_FOR=f"10.0.0.{n}") for n in range(40)]
    assert codes == [401] * 30 + [429] * 10


def test_client_when_it_is_attacked_from_everywhere(story, world, hashes):
    with override_settings(
        DELEGATION={"ISSUER": "https://as.example.com", "FAILED_AUTHENTICATIONS_PER_MINUTE": 2}
    ):
        for number in range(60):
            status(story, f"wrong {number}", REMOTE_ADDR=f"198.51.100.{number}")
    assert len(hashes) == 20
