"""Checks of the rate limits: the cache that counts, and the callers' addresses."""

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
    LocMemCache: "each process counts separately, and evicts counters beyond 300 entries",
    DummyCache: "it counts nothing",
    FileBasedCache: "concurrent counts are lost",
    DatabaseCache: "concurrent counts are lost",
}
_HINT: Final = 'Set DELEGATION["CACHE"] to the alias of a Redis or Memcached cache.'


@register(Tags.caches)
def check_cache(**_kwargs: Any) -> list[CheckMessage]:
    """W020: the cache cannot count failed attempts exactly; sufficient for development."""
    lacking = _lacking() if settings.DEBUG else ""
    return [caution(lacking, _HINT, "W020")] if lacking else []


@register(Tags.caches, deploy=True)
def check_cache_deployed(**_kwargs: Any) -> list[CheckMessage]:
    """E020: the same in production, where rate limits would fail."""
    lacking = _lacking()
    return [error(lacking, _HINT, "E020")] if lacking else []


@register(Tags.security)
def check_proxies(**_kwargs: Any) -> list[CheckMessage]:
    """W021: a proxy is trusted about https, but not about addresses."""
    if not getattr(settings, "SECURE_PROXY_SSL_HEADER", None) or conf.trusted_proxies:
        return []
    hint = (
        'Add the networks of the proxy to DELEGATION["TRUSTED_PROXIES"], or "unix" if it '
        "connects through a socket, and configure it to set X-Forwarded-For."
    )
    text = "SECURE_PROXY_SSL_HEADER is set but TRUSTED_PROXIES is empty: callers share one address."
    return [caution(text, hint, "W021")]


def _lacking() -> str:
    try:
        cache = caches[conf.cache]
    except (InvalidCacheBackendError, ImproperlyConfigured, ImportError):
        # E004 reports a missing alias, Django a backend that cannot be imported
        return ""
    for kind, lack in _LACKS.items():
        if isinstance(cache, kind):
            return f"The cache {conf.cache!r} is a {kind.__name__}: {lack}."
    return ""
