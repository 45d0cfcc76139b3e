"""How callers are known and their failures counted: what a site can get wrong has a number."""

import pytest
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import run_checks

from delegation_app.checks import rate_limits

pytestmark = pytest.mark.any_database

OURS = "delegation_app."
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
REDIS = "django.core.cache.backends.redis.RedisCache"
LACKING = [
    LOCMEM,
    "django.core.cache.backends.dummy.DummyCache",
    "django.core.cache.backends.filebased.FileBasedCache",
    "django.core.cache.backends.db.DatabaseCache",
    "tests.checks.test_rate_limits.OwnMemory",
]


class OwnMemory(LocMemCache):
    """A site's own kind of one of them."""


def found(*numbers, deploy=False):
    messages = run_checks(include_deployment_checks=deploy)
    ids = [message.id.removeprefix(OURS) for message in messages if message.id.startswith(OURS)]
    return [number for number in ids if number in numbers]


@pytest.mark.django_db
@pytest.mark.parametrize("backend", LACKING)
def test_cache_when_it_cannot_count_then_w020_in_development_and_e020_in_deployment(
    settings, tmp_path, backend
):
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": str(tmp_path)}}
    settings.DEBUG = True
    assert found("W020", "E020") == ["W020"]
    settings.DEBUG = False
    assert found("W020", "E020") == []
    assert found("W020", "E020", deploy=True) == ["E020"]


@pytest.mark.parametrize(
    "backend",
    [REDIS, "django.core.cache.backends.memcached.PyMemcacheCache", "no.such.Backend"],
)
def test_cache_when_processes_share_it_or_it_cannot_be_imported_then_nothing_is_said(
    settings, backend
):
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1"}}
    settings.DEBUG = True
    assert rate_limits.check_cache() == rate_limits.check_cache_deployed() == []


@pytest.mark.django_db
def test_cache_when_another_alias_counts_then_that_one_is_checked(settings):
    settings.CACHES = {
        "default": {"BACKEND": LOCMEM},
        "shared": {"BACKEND": REDIS, "LOCATION": "redis://127.0.0.1:1"},
    }
    settings.DELEGATION = {**settings.DELEGATION, "CACHE": "shared"}
    assert found("E020", deploy=True) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "trusted", "expected"),
    [
        (None, [], []),
        (("HTTP_X_FORWARDED_PROTO", "https"), [], ["W021"]),
        (("HTTP_X_SCHEME", "https"), (), ["W021"]),
        (("HTTP_X_FORWARDED_PROTO", "https"), ["10.0.0.0/8"], []),
        (("HTTP_X_FORWARDED_PROTO", "https"), ["unix"], []),
        (None, ["unix"], []),
    ],
)
def test_proxy_when_it_is_believed_about_https_alone_then_w021(settings, header, trusted, expected):
    settings.SECURE_PROXY_SSL_HEADER = header
    settings.DELEGATION = {**settings.DELEGATION, "TRUSTED_PROXIES": trusted}
    assert found("W021", "E004") == expected
