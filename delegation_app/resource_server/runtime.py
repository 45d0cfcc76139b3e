"""What a process makes of the settings once: its verifier, and the client that it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from delegation_app.client import Client, Credentials
from delegation_app.protocol.verified_token import Verifier
from delegation_app.resource_server.conf import SETTING, conf
from delegation_app.resource_server.verifiers.fork_safe import Locked
from delegation_app.resource_server.verifiers.introspection import IntrospectionVerifier
from delegation_app.resource_server.verifiers.offline import OfflineVerifier

T = TypeVar("T")

OFFLINE: Final = "offline"
INTROSPECTION: Final = "introspection"


class _Once(Locked):
    """What is made at its first use, by one thread only."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, Any] = {}

    def get(self, name: str, make: Callable[[], T]) -> T:
        if name not in self._made:
            with self._lock:
                if name not in self._made:
                    self._made[name] = make()
        made: T = self._made[name]
        return made

    def forget(self) -> list[Any]:
        with self._lock:
            gone, self._made = list(self._made.values()), {}
        return gone


_once: Final = _Once()


def forget(*, setting: str = SETTING, **_more: Any) -> None:
    """Make everything anew when it is next used: the settings were changed, as tests do.

    Args:
        setting: which one.
    """
    if setting != SETTING:
        return
    for made in _once.forget():
        close = getattr(made, "close", None)
        if close is not None:
            close()


setting_changed.connect(forget, dispatch_uid="delegation_resource_server")


def verifier() -> Verifier:
    """Return the verifier that the settings describe; one in a process.

    Raises:
        ImproperlyConfigured: the settings describe none.
    """
    return _once.get("verifier", _new_verifier)


def client() -> Client:
    """Return the client as which this service exchanges; one in a process, with its tokens.

    Raises:
        ImproperlyConfigured: the settings name none.
    """
    return _once.get("client", _new_client)


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
        made: Verifier = import_string(path)(conf.audience)
    except ImportError as error:
        raise ImproperlyConfigured(f"VERIFIER {path!r} can't be imported.") from error
    return made
