"""The settings, as the page tells them and as the code takes them."""

import ast
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from delegation_app.protocol.constraints import REGISTRY
from delegation_app.resource_server import runtime
from delegation_app.resource_server.conf import DEFAULTS, conf
from delegation_app.resource_server.verifiers.introspection import IntrospectionVerifier
from delegation_app.resource_server.verifiers.offline import OfflineVerifier
from tests.resource_server.isolated.site_constraint import FullMoon
from tests.resource_server.issuer import AUDIENCE, ISSUER

PAGE = (Path(__file__).parents[3] / "docs" / "resource-server.md").read_text(encoding="utf-8")


class OneArgument:
    """What a dotted path may name."""

    def __init__(self, audience):
        self.audience = audience


def table(heading):
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_page_when_it_lists_settings():
    listed = {row[0].strip("`"): row[1].strip("`") for row in table("Settings")}
    assert listed.keys() == DEFAULTS.keys()
    assert {listed.pop("ISSUER"), listed.pop("AUDIENCE")} == {"required"}
    for name, default in listed.items():
        assert ast.literal_eval(default) == DEFAULTS[name], name


def test_page_when_it_shows_python():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) >= 5
    for block in blocks:
        compile(block, "docs/resource-server.md", "exec")


def test_settings_when_changed(configure):
    configure(REALM="one", TRUSTED_PROXIES="10.0.0.0/8")
    assert (conf.realm, conf.trusted_proxies) == ("one", ("10.0.0.0/8",))
    configure(REALM="two")
    assert conf.realm == "two"


def test_verifier_when_asked_for_twice(configure):
    first = runtime.verifier()
    assert runtime.verifier() is first
    assert isinstance(first, OfflineVerifier)
    assert first.audience == AUDIENCE
    configure(AUDIENCE="https://other.example.com")
    assert runtime.verifier().audience == "https://other.example.com"


def test_verifier_when_other_settings_change(settings):
    first = runtime.verifier()
    settings.LANGUAGE_CODE = "de"
    assert runtime.verifier() is first


def test_verifier_when_the_settings_change(configure, monkeypatch):
    closed = []
    monkeypatch.setattr(OfflineVerifier, "close", lambda verifier: closed.append(verifier.audience))
    runtime.verifier()
    configure(AUDIENCE="https://other.example.com")
    assert closed == [AUDIENCE]


def test_verifier_when_threads_ask_at_once(monkeypatch):
    made, together = [], threading.Barrier(8)

    def slow(*_arguments, **_named):
        made.append(object())
        # Time enough for the others to come before there is one
        threading.Event().wait(0.1)
        return made[-1]

    def ask():
        together.wait(5)
        return runtime.verifier()

    monkeypatch.setattr(runtime, "OfflineVerifier", slow)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask) for _ in range(8)]
        assert {found.result() for found in asked} == {made[0]}
    assert len(made) == 1


def test_verifier_when_introspection_is_chosen(configure, monkeypatch):
    made = {}

    class Recording(IntrospectionVerifier):
        def __init__(self, *arguments, **named):
            made.update(named, arguments=arguments)

    monkeypatch.setattr(runtime, "IntrospectionVerifier", Recording)
    configure(VERIFIER="introspection", CLIENT_ID="service_a", CLIENT_SECRET="s" * 40)

    assert isinstance(runtime.verifier(), Recording)
    assert made == {
        "arguments": (ISSUER, AUDIENCE),
        "client_id": "service_a",
        "client_secret": "s" * 40,
        "cache_seconds": 2,
        "cache_size": 10_000,
        "skew_seconds": 10,
    }


def test_verifier_when_a_class_is_named(configure):
    configure(VERIFIER=f"{__name__}.OneArgument")
    # Compared by name: pytest imports a test module under a name of its own
    made = runtime.verifier()
    assert (type(made).__name__, made.audience) == ("OneArgument", AUDIENCE)


def test_client_when_the_settings_name_none(configure):
    with pytest.raises(ImproperlyConfigured, match="CLIENT_ID"):
        runtime.client()


def test_client_when_asked_for_twice(configure):
    configure(CLIENT_ID="service_a", CLIENT_SECRET="s" * 40)
    assert runtime.client() is runtime.client()
    assert runtime.client().credentials.client_id == "service_a"
    assert "s" * 40 not in repr(runtime.client().credentials)


def test_constraints_when_a_site_has_its_own(configure, monkeypatch):
    monkeypatch.setitem(REGISTRY, "full_moon", None)
    del REGISTRY["full_moon"]
    configure(CONSTRAINTS=["tests.resource_server.isolated.site_constraint.FullMoon"])
    apps.get_app_config("delegation_resource_server").ready()
    assert REGISTRY["full_moon"] is FullMoon
