"""Checks of how callers are known and their failures counted."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import ImproperlyConfigured

from delegation_app.checks.subjects import caution, error
from delegation_app.conf import conf

_LACKS: Final[dict[type, str]] = {
    LocMemCache: "every process counts for itself, and forgets counts when it has 300 entries",
    DummyCache: "nothing is counted",
    FileBasedCache: "counts at the same moment are lost",
    DatabaseCache: "counts at the same moment are lost",
}
_HINT: Final = 'Let DELEGATION["CACHE"] name one in Redis or Memcached.'


@register(Tags.caches)
def check_cache(**_kwargs: Any) -> list[CheckMessage]:
    """W020: the cache cannot count failed attempts exactly; good enough to develop with."""
    lacking = _lacking() if settings.DEBUG else ""
    return [caution(lacking, _HINT, "W020")] if lacking else []


@register(Tags.caches, deploy=True)
def check_cache_deployed(**_kwargs: Any) -> list[CheckMessage]:
    """E020: the same in production, where limits of failed attempts would not hold."""
    lacking = _lacking()
    return [error(lacking, _HINT, "E020")] if lacking else []


@register(Tags.security)
def check_proxies(**_kwargs: Any) -> list[CheckMessage]:
    """W021: a proxy is believed about https, and about no address."""
    if not getattr(settings, "SECURE_PROXY_SSL_HEADER", None) or conf.trusted_proxies:
        return []
    hint = (
        'Name the networks of the proxy in DELEGATION["TRUSTED_PROXIES"], or "unix" if it '
        "connects through a socket, and have it set X-Forwarded-For."
    )
    text = "SECURE_PROXY_SSL_HEADER is set and TRUSTED_PROXIES is empty: no address is known."
    return [caution(text, hint, "W021")]


def _lacking() -> str:
    try:
        cache = caches[conf.cache]
    except (InvalidCacheBackendError, ImproperlyConfigured, ImportError):
        # E004 says that the alias is missing, Django that its backend cannot be imported
        return ""
    for kind, lack in _LACKS.items():
        if isinstance(cache, kind):
            return f"The cache {conf.cache!r} is a {kind.__name__}: {lack}."
    return ""
