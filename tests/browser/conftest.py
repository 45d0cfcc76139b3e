"""A real browser in front of a real server."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from delegation_app import toolkit
from tests.support import require_or_skip
from tests.support.world import CHALLENGE, build_world

try:
    from playwright import sync_api
except ImportError:
    sync_api = None

CHROMIUM = Path("/usr/bin/chromium")
# Milliseconds; on a busy machine a page may take its time
PATIENCE = 45_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def chromium():
    """One browser process for a module's tests.

    Playwright's sync API runs an event loop in this thread, in which Django's ORM would refuse to
    work; both end with the module, so that no other test notices.
    """
    require_or_skip(sync_api, "playwright is not installed")
    require_or_skip(CHROMIUM.exists(), f"{CHROMIUM} is missing")
    with pytest.MonkeyPatch.context() as patch, sync_api.sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        sync_api.expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


class App:
    """A client application on this machine: it notes what comes to its redirect URI."""

    def __init__(self):
        app = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                app.requests.append((self.path, self.headers.get("Referer")))
                body = b"<!doctype html><title>App</title><h1>Back in the app</h1>"
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        self.requests = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_port}/callback"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def answers(self):
        """The parameters of every authorization response, in order."""
        paths = [path for path, _ in self.requests if path.startswith("/callback?")]
        return [
            {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
            for path in paths
        ]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Site:
    """The world behind the live server, and the requests of the app."""

    def __init__(self, world, url, app):
        self.world, self.url, self.app = world, url, app

    def authorize_url(self, **changes):
        parameters = {
            "response_type": "code",
            "client_id": "web",
            "redirect_uri": self.app.uri,
            "scope": "read:metrics write:alerts read:profile",
            "state": "af0ifjsldkj",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            **changes,
        }
        return f"{self.url}/oauth/authorize?{urlencode(parameters)}"


@pytest.fixture
def site(chromium, live_server, transactional_db, settings):
    """The world on a live server, over plain http: a loopback issuer may."""
    settings.DELEGATION = {"ISSUER": live_server.url}
    app = App()
    world = build_world()
    toolkit.application_model().objects.filter(client_id__in=["web", "mobile"]).update(
        redirect_uris=app.uri
    )
    yield Site(world, live_server.url, app)
    app.close()


class Visit:
    """One page of a fresh browser profile; whatever the browser complains about is kept."""

    def __init__(self, page, *, refused):
        self.page = page
        self.refused = refused
        self.complaints = []
        # Chromium gives up the page for a file, and calls that a failure
        self.downloads = set()
        page.on("download", lambda download: self.downloads.add(download.url))
        page.on("console", self.console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", self.failed)

    def failed(self, request):
        # What a page that is left or closed was still loading is given up, and no fault
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"{request.url}: {request.failure}")

    def console(self, message):
        # Chromium asks for an icon of its own accord, calls every 400 an error, and says so where
        # somebody was in a field before the one that has the focus by itself
        expected = (
            message.location.get("url", "").endswith("/favicon.ico")
            or (self.refused and re.search("status of 40[03]", message.text))
            or message.text.startswith("Autofocus processing was blocked")
        )
        if not expected:
            self.complaints.append(message.text)


@pytest.fixture
def visit(chromium):
    """Open pages with the options of `new_context`; a complaint of the browser is a failure.

    With `refused`, the page is one that comes with a 400 or a 403.
    """
    contexts, visits = [], []

    def open_page(*, refused=False, **options):
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        visits.append(Visit(context.new_page(), refused=refused))
        return visits[-1].page

    yield open_page
    for context in contexts:
        context.close()
    assert [
        complaint
        for each in visits
        for complaint in each.complaints
        if complaint not in each.downloads
    ] == []
