"""Three processes that are no servers, but start and end as some do."""

import pytest

from example_project.demo import server, site

CLIENTS = {name: {"client_secret": f"secret of {name}"} for name in ("service_a", "service_b")}
SERVES = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404)
        self.end_headers()

print("here I am", os.environ.get("DEMO_SERVICE", "the server"), flush=True)
"""
SERVES_ON = """
HTTPServer(("127.0.0.1", int(sys.argv[-1].rpartition(":")[2])), Handler).serve_forever()
"""


@pytest.fixture
def script(settings, tmp_path):
    """Write what is run in the place of each server."""
    settings.LOCAL_DIR, settings.BASE_DIR = tmp_path / "demo", tmp_path

    def write(text):
        (tmp_path / "manage.py").write_text(SERVES + text + SERVES_ON)

    return write


def running(ports=None):
    return site.running(site.Ports(*(ports or server.free_ports(3))), {"clients": CLIENTS})


@pytest.mark.parametrize("name", ["the server", "service_a", "service_b"])
def test_site_when_one_ends_at_once_then_the_reason_is_told_and_the_others_end(script, name):
    script(f"if os.environ.get('DEMO_SERVICE', 'the server') == {name!r}: sys.exit('no such luck')")
    ports = server.free_ports(3)
    with pytest.raises(server.NotRunning, match=f"here I am {name}\nno such luck"), running(ports):
        pass
    site.Ports(*ports).require_usable()


def test_site_when_the_story_is_interrupted_then_all_end(script):
    script("")
    ports = server.free_ports(3)
    with pytest.raises(KeyboardInterrupt), running(ports):
        raise KeyboardInterrupt
    site.Ports(*ports).require_usable()


def test_site_when_one_ends_later_then_whoever_waits_is_told(script):
    script(
        "import threading\n"
        "if 'DEMO_SERVICE' in os.environ: threading.Timer(2, lambda: os._exit(3)).start()"
    )
    with running() as started, pytest.raises(server.NotRunning, match=r"service [AB] has ended"):
        started.wait()


def test_site_when_told_to_end_and_deaf_then_it_is_ended_by_force(script, monkeypatch):
    monkeypatch.setattr(server, "_STOP_SECONDS", 0.2)
    script("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    ports = server.free_ports(3)
    with running(ports):
        pass
    site.Ports(*ports).require_usable()


def test_site_when_services_start_then_they_are_told_what_they_need_and_no_more(
    script, monkeypatch, settings
):
    script("print(sorted(os.environ.items()), flush=True)")
    for name in ("DATABASE_URL", "DJANGO_SECRET_KEY", "REDIS_URL"):
        monkeypatch.setenv(name, f"{name} of the server")
    with running():
        pass
    of_server, of_a, of_b = (
        (settings.LOCAL_DIR / f"{name}.log").read_text()
        for name in ("authorization_server", "service_a", "service_b")
    )
    assert of_server.count("of the server") == 3
    for own, other, told in (("service_a", "service_b", of_a), ("service_b", "service_a", of_b)):
        assert "of the server" not in told
        assert f"secret of {own}" in told
        assert f"secret of {other}" not in told
