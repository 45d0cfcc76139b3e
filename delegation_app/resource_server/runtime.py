"""The verifier and the client of the settings, one per process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from delegation_app.client import Client, Credentials
from delegation_app.client.http.fork_safety import Locked
from delegation_app.protocol.verified_token import Verifier
from delegation_app.resource_server.conf import SETTING, conf
from delegation_app.resource_server.verifiers.introspection import IntrospectionVerifier
from delegation_app.resource_server.verifiers.offline import OfflineVerifier

T = TypeVar("T")

OFFLINE: Final = "offline"
INTROSPECTION: Final = "introspection"


class _LazySingletons(Locked):
    def __init__(self) -> None:
        super().__init__()
        self._instances: dict[str, Any] = {}

    def get(self, name: str, make: Callable[[], T]) -> T:
        if name not in self._instances:
            with self._lock:
                if name not in self._instances:
                    self._instances[name] = make()
        instance: T = self._instances[name]
        return instance

    def clear(self) -> list[Any]:
        with self._lock:
            removed, self._instances = list(self._instances.values()), {}
        return removed


_singletons: Final = _LazySingletons()


def forget(*, setting: str = SETTING, **_more: Any) -> None:
    """Drop the instances, so that the next use reads the settings again.

    Args:
        setting: the name of the changed setting.
    """
    if setting != SETTING:
        return
    for removed in _singletons.clear():
        close = getattr(removed, "close", None)
        if close is not None:
            close()


setting_changed.connect(forget, dispatch_uid="delegation_resource_server")


def verifier() -> Verifier:
    """Return the verifier of the settings, one per process.

    Raises:
        ImproperlyConfigured: the settings are incomplete.
    """
    return _singletons.get("verifier", _new_verifier)


def client() -> Client:
    """Return the client of the settings, one per process, with its token cache.

    Raises:
        ImproperlyConfigured: the settings have no client.
    """
    return _singletons.get("client", _new_client)


def _new_client() -> Client:
    return Client(conf.issuer, Credentials(conf.client_id, conf.client_secret))


def _new_verifier() -> Verifier:
    kind = conf.verifier
    makers: dict[str, Callable[[], Verifier]] = {OFFLINE: _offline, INTROSPECTION: _introspection}
    return makers[kind]() if kind in makers else _of_class(kind)


def _offline() -> Verifier:
    return OfflineVerifier(
        conf.issuer,
        conf.audience,
        jwks_uri=conf.jwks_uri,
        poll_seconds=conf.poll_seconds,
        max_staleness=conf.max_staleness,
        skew_seconds=conf.clock_skew_seconds,
        cache_size=conf.token_cache_size,
    )


def _introspection() -> Verifier:
    return IntrospectionVerifier(
        conf.issuer,
        conf.audience,
        client_id=conf.client_id,
        client_secret=conf.client_secret,
        cache_seconds=conf.introspection_cache_seconds,
        cache_size=conf.token_cache_size,
        skew_seconds=conf.clock_skew_seconds,
    )


def _of_class(path: str) -> Verifier:
    try:
        instance: Verifier = import_string(path)(conf.audience)
    except ImportError as error:
        raise ImproperlyConfigured(f"VERIFIER {path!r} cannot be imported.") from error
    return instance
