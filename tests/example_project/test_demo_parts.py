"""The demo's browser, its transcript, and its wait for a revocation."""

from io import StringIO
from types import SimpleNamespace

import pytest
import requests
from bs4 import BeautifulSoup

from example_project.demo import onward
from example_project.demo.browser import Browser
from example_project.demo.steps import StepFailed
from example_project.demo.transcript import Transcript, shortened

pytestmark = pytest.mark.any_database

# Requests and answers


def answered(method, address, body=b"{}", *, status=200, headers=None, **request):
    answer = requests.Response()
    answer.status_code, answer.reason = status, "Reason"
    answer.headers.update(headers or {"Content-Type": "application/json"})
    answer._content = body
    answer.request = requests.Request(method, address, **request).prepare()
    return answer


def shown(*answers, home=""):
    out = StringIO()
    transcript = Transcript(out)
    transcript.home = home
    for answer in answers:
        transcript.exchange(answer)
    return out.getvalue()


def test_secrets_of_addresses_forms_and_headers_are_cut():
    text = shown(
        answered(
            "POST",
            "http://127.0.0.1/accounts/login/?next=/oauth/authorize%3Fstate%3Dabcdefghi",
            data={"password": "hunter2hunter2", "username": "alice", "handle": "short"},
            headers={
                "Location": "https://web.example.com/callback?code=0123456789&state=abcdefghi"
            },
            status=303,
        )
    )
    for secret in ("hunter2hunter2", "0123456789", "abcdefghi", "short"):
        assert secret not in text
    for part in ("hunter…", "code=012345…", "next=/oauth/authorize?…", "alice"):
        assert part in text
    assert shortened("short") == "…"


def test_secrets_of_json_and_of_bearer_tokens_are_cut():
    request = requests.Request(
        "POST",
        "http://127.0.0.1/",
        headers={"Authorization": "Bearer tokentokentoken"},
        data={"subject_token": "secretsecret"},
    )
    body = b'{"all": [{"device_code": "0123456789", "user_code": "ABCD-EFGH"}]}'
    answer = answered("POST", "http://127.0.0.1/", body)
    answer.request = request.prepare()
    text = shown(answer)
    assert "Bearer tokent…" in text
    assert "subject_token=secret…" in text
    assert '{"device_code": "012345…", "user_code": "ABCD-EFGH"}' in text


def test_origin_is_shown_for_other_servers_only():
    text = shown(
        answered("GET", "http://127.0.0.1:8000/oauth/jwks"),
        answered("GET", "http://127.0.0.1:8001/api/metrics?a=1"),
        home="http://127.0.0.1:8000",
    )
    assert "→ GET /oauth/jwks" in text
    assert "→ GET http://127.0.0.1:8001/api/metrics?a=1" in text


def test_document_is_shown_again_only_if_it_changed():
    address, x, y = "http://127.0.0.1:8000/document", b'{"issuer": "x"}', b'{"issuer": "y"}'
    text = shown(*(answered("GET", address, body) for body in (x, x, y)))
    assert text.count('{"issuer": "x"}') == text.count('{"issuer": "y"}') == 1
    assert text.count("(as before)") == 1


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "no_color", "colours", "expected"),
    [
        (Terminal, "", True, True),
        (Terminal, "1", True, False),
        (Terminal, "", False, False),
        (StringIO, "", True, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(monkeypatch, stream, no_color, colours, expected):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_color)
    out = stream()
    transcript = Transcript(out, colours=colours)
    transcript.heading(1, "Title")
    transcript.succeeded("good")
    transcript.failed("bad", expected=1, got=2)
    with transcript.status("wait"):
        pass
    assert ("\x1b[32m" in out.getvalue()) == expected
    assert ("wait" in out.getvalue()) == (stream is Terminal)


# The browser

PAGE = """
<a href="/list/revoke/">Revoke</a>
<form action="/search"><input name="q"></form>
<form action="/do"><input name="hidden" type="hidden" value="1">
<input type="checkbox" name="scopes" value="r" checked>
<input type="checkbox" name="scopes" value="w" checked>
<input type="checkbox" name="scopes" value="x">
<input type="checkbox" name="bar" checked>
<select name="days"><option value="7">7<option value="30" selected>30</select>
<textarea name="reason"></textarea><button name="decision" value="allow">Allow</button>
<input type="submit" name="go"></form>
"""


def test_browser_submits_what_a_page_has_and_a_user_enters(monkeypatch):
    browser = Browser("http://127.0.0.1:1", Transcript(StringIO()))
    browser.page = BeautifulSoup(PAGE, "html.parser")
    values = {"hidden": ["1"], "bar": ["on"], "days": ["30"], "reason": [""]}
    assert browser.values("reason") == values | {"scopes": ["r", "w"]}
    sent = {}

    def post(address, *, data, timeout):
        sent[address] = data
        return answered("POST", address, b"<pre>done</pre>")

    monkeypatch.setattr(browser._session, "post", post)
    browser.submit("reason", scopes=["w"], decision="allow")
    assert sent == {"http://127.0.0.1:1/do": values | {"scopes": ["w"], "decision": "allow"}}
    assert browser.find("pre").get_text() == "done"
    with pytest.raises(StepFailed, match=r"expected form:has.*password"):
        browser.values("password")


def test_browser_follows_redirects_within_the_site_only():
    session = Browser("http://127.0.0.1:1", Transcript(StringIO()))._session
    assert not session.trust_env
    for target, followed in (("/x", True), ("https://web.example.com/cb?code=x", False)):
        answer = answered("GET", "http://127.0.0.1:1/", status=302, headers={"Location": target})
        answer.url = answer.request.url
        assert session.get_redirect_target(answer) == (target if followed else None)


# Waiting for a revocation


@pytest.fixture
def until_refused(monkeypatch):
    """Return seconds and transcript of calls with these statuses; only sleeping takes time."""
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)
    monkeypatch.setattr(onward, "time", clock)

    def run(*statuses, error="invalid_token"):
        left, out = list(statuses), StringIO()
        operator = SimpleNamespace(submitted_at=99.5)
        scene = SimpleNamespace(operator=operator, transcript=Transcript(out))

        def call():
            status = left.pop(0) if len(left) > 1 else left[0]
            body = f'{{"error": "{error}"}}'.encode()
            return answered("GET", "http://127.0.0.1/metrics", body, status=status)

        return onward._until_refused(scene, call), out.getvalue()

    return run


@pytest.mark.parametrize("good", [0, 1, 2, 9])
def test_first_and_last_call_until_the_refusal_are_shown(until_refused, good):
    took, text = until_refused(*[200] * good, 401)
    assert took == pytest.approx(0.5 + good * 0.2)
    assert text.count("→") == (2 if good else 1)
    assert text.count("← 401") == 1
    assert (f"(calls in between: {good - 1})" in text) == (good > 0)


@pytest.mark.parametrize(
    ("status", "error", "failure"),
    [
        (200, "", "a refusal within 8 seconds, got 39 good answers"),
        (503, "temporarily_unavailable", "expected 401"),
        (401, "something_else", "expected invalid_token"),
    ],
)
def test_no_refusal_or_another_one_fails_the_step(until_refused, status, error, failure):
    with pytest.raises(StepFailed, match=failure):
        until_refused(200, status, error=error)
