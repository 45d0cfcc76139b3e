"""The three processes of the demo, with a script in place of each server."""

import pytest

from example_project.demo import servers

pytestmark = pytest.mark.any_database

CLIENTS = {name: {"client_secret": f"secret of {name}"} for name in ("service_a", "service_b")}
SERVES = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(404)
        self.end_headers()

print("started", os.environ.get("DEMO_SERVICE", "the server"), flush=True)
{}
HTTPServer(("127.0.0.1", int(sys.argv[-1].rpartition(":")[2])), Handler).serve_forever()
"""


@pytest.fixture
def script(settings, tmp_path):
    settings.LOCAL_DIR, settings.BASE_DIR = tmp_path / "demo", tmp_path
    return lambda text: (tmp_path / "manage.py").write_text(SERVES.format(text))


@pytest.fixture
def ports():
    """Free ports, which are free again after the test."""
    found = servers.free_ports(3)
    yield found
    servers.require_free({str(port): port for port in found})


def running(ports):
    return servers.running(ports, {"clients": CLIENTS})


@pytest.mark.parametrize("name", ["the server", "service_a", "service_b"])
def test_server_that_does_not_start_is_reported_and_the_others_end(script, ports, name):
    script(f"if os.environ.get('DEMO_SERVICE', 'the server') == {name!r}: sys.exit('no such luck')")
    reason = f"started {name}\nno such luck"
    with pytest.raises(servers.NotRunning, match=reason), running(ports):
        pass


def test_interruption_ends_all_servers(script, ports):
    script("")
    with pytest.raises(KeyboardInterrupt), running(ports):
        raise KeyboardInterrupt


def test_server_that_ends_later_is_reported(script, ports):
    script(
        "import threading\n"
        "if 'DEMO_SERVICE' in os.environ: threading.Timer(2, lambda: os._exit(3)).start()"
    )
    ended = pytest.raises(servers.NotRunning, match=r"service [AB] has ended")
    with running(ports) as site, ended:
        site.wait()


def test_server_that_ignores_sigterm_is_killed(script, ports, monkeypatch):
    monkeypatch.setattr(servers, "_STOP_SECONDS", 0.2)
    script("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    with running(ports):
        pass


def test_services_know_their_own_secret_and_none_of_the_server(
    script, ports, monkeypatch, settings
):
    script("print(sorted(os.environ.items()), flush=True)")
    for name in ("DATABASE_URL", "DJANGO_SECRET_KEY", "REDIS_URL"):
        monkeypatch.setenv(name, f"{name} of the server")
    with running(ports):
        pass
    of_server, of_a, of_b = (
        (settings.LOCAL_DIR / f"{name}.log").read_text()
        for name in ("authorization_server", "service_a", "service_b")
    )
    assert of_server.count("of the server") == 3
    for own, other, log in (("service_a", "service_b", of_a), ("service_b", "service_a", of_b)):
        assert "of the server" not in log
        assert f"secret of {own}" in log
        assert f"secret of {other}" not in log
