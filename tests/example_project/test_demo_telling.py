"""How the demo tells its story: what is shown, what is cut, and what ends it."""

from io import StringIO
from types import SimpleNamespace

import pytest
import requests

from example_project.demo.expectations import NotAsTold
from example_project.demo.page import Page
from example_project.demo.scene import Step, tell
from example_project.demo.transcript import Transcript, shortened


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    "error", [requests.ConnectionError("refused"), KeyError("access_token"), ValueError("no JSON")]
)
def test_tell_when_the_site_fails_then_the_story_ends(error):
    def fail(_scene):
        raise error

    out = StringIO()
    later = Step("Later", lambda _: "never")
    assert not tell((Step("Now", fail), later), SimpleNamespace(transcript=Transcript(out)))
    assert repr(error) in out.getvalue()
    assert "Later" not in out.getvalue()


# How it looks


def test_transcript_when_on_a_terminal_then_it_has_colours_and_progress(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    transcript = Transcript(out)
    transcript.as_told("good")
    transcript.progress("wait")
    assert "\x1b[32m" in out.getvalue()
    assert "\r\x1b[Kwait" in out.getvalue()


@pytest.mark.parametrize(
    ("stream", "variable", "colours"),
    [(Terminal, "1", None), (Terminal, "", False), (StringIO, "", None)],
)
def test_transcript_when_colours_are_unwanted_then_there_are_none(
    monkeypatch, stream, variable, colours
):
    monkeypatch.setenv("NO_COLOR", variable)
    out = stream()
    transcript = Transcript(out, colours=colours)
    transcript.chapter(1, "Title")
    transcript.as_told("good")
    transcript.not_as_told("bad", expected=1, got=2)
    assert "\x1b" not in out.getvalue()


def test_transcript_when_not_on_a_terminal_then_no_progress_is_shown():
    out = StringIO()
    Transcript(out).progress("wait")
    assert out.getvalue() == ""


def test_transcript_when_a_request_has_secrets_then_they_are_cut():
    answer = requests.Response()
    answer.status_code, answer.reason = 303, "See Other"
    answer.headers["Location"] = "https://web.example.com/callback?code=0123456789&state=abcdefghi"
    answer.request = requests.Request(
        "POST",
        "http://127.0.0.1/accounts/login/?next=/oauth/authorize%3Fstate%3Dabcdefghi",
        data={"password": "hunter2hunter2", "username": "alice", "handle": "short"},
        headers={"Authorization": "Bearer tokentokentoken"},
    ).prepare()
    out = StringIO()
    Transcript(out).exchange(answer)
    told = out.getvalue()
    for whole in ("hunter2hunter2", "0123456789", "abcdefghi", "tokentokentoken", "short"):
        assert whole not in told
    for part in ("hunter…", "code=012345…", "Bearer tokent…", "next=/oauth/authorize?…", "alice"):
        assert part in told
    assert shortened("short") == "…"


def answered(method, address, body=b'{"issuer": "x"}'):
    answer = requests.Response()
    answer.status_code, answer.reason = 200, "OK"
    answer.headers["Content-Type"] = "application/json"
    answer._content = body
    answer.request = requests.Request(method, address).prepare()
    return answer


def test_transcript_when_somebody_else_is_asked_then_it_says_who():
    out = StringIO()
    transcript = Transcript(out)
    transcript.home = "http://127.0.0.1:8000"
    transcript.exchange(answered("GET", "http://127.0.0.1:8000/oauth/jwks"))
    transcript.exchange(answered("GET", "http://127.0.0.1:8001/api/metrics?a=1"))
    assert "→ GET /oauth/jwks\n" in out.getvalue()
    assert "→ GET http://127.0.0.1:8001/api/metrics?a=1\n" in out.getvalue()


def test_transcript_when_the_same_is_read_again_then_it_is_not_told_again():
    out = StringIO()
    transcript = Transcript(out)
    for method in ("GET", "GET", "POST", "POST"):
        transcript.exchange(answered(method, "http://127.0.0.1:8000/document"))
    transcript.exchange(answered("GET", "http://127.0.0.1:8000/document", b'{"issuer": "y"}'))
    assert out.getvalue().count("the same as before") == 1
    assert out.getvalue().count('{"issuer": "x"}') == 3
    assert out.getvalue().count('{"issuer": "y"}') == 1


PAGE = """
        <a href="/a?x=1&amp;y=2">Go <b>there</b></a>
        <table><tr><th>who</th><td> alice
          b. </td></tr></table>
        <a href="/list/revoke/">Stop</a><pre>{
  "a": "&lt;b"}</pre>
        <form action="/do"><input name="hidden" type="hidden" value="1">
        <input type="checkbox" name="scopes" value="r" checked>
        <input type="checkbox" name="scopes" value="w" checked>
        <input type="checkbox" name="scopes" value="x">
        <input type="checkbox" name="bar" checked>
        <textarea name="reason"></textarea><button name="decision" value="allow">Allow</button>
        <input type="submit" name="go"></form>
        """


def test_page_when_read_then_forms_links_and_rows_are_there():
    page = Page.of(PAGE)
    form = page.form_with("reason")
    assert form.action == "/do"
    assert form.fields == [
        ("hidden", "1"),
        ("scopes", "r"),
        ("scopes", "w"),
        ("bar", "on"),
        ("reason", ""),
    ]
    assert form.filled(scopes=["w"], decision="allow") == [
        ("hidden", "1"),
        ("bar", "on"),
        ("reason", ""),
        ("scopes", "w"),
        ("decision", "allow"),
    ]
    assert page.link_to("go THERE") == "/a?x=1&y=2"
    assert page.address_ending("/revoke/") == "/list/revoke/"
    assert page.texts == ['{\n  "a": "<b"}']
    assert page.rows == [["who", "alice b."]]
    with pytest.raises(NotAsTold, match="a form that asks for password"):
        page.form_with("password")
    with pytest.raises(NotAsTold, match="a link that says Revoke"):
        page.link_to("Revoke")
    with pytest.raises(NotAsTold, match="a link to /narrow/"):
        page.address_ending("/narrow/")


def test_transcript_when_an_answer_has_secrets_in_lists_then_they_are_cut():
    answer = requests.Response()
    answer.status_code, answer.reason = 200, "OK"
    answer.headers["Content-Type"] = "application/json"
    answer._content = b'{"all": [{"device_code": "0123456789", "user_code": "ABCD-EFGH"}]}'
    answer.request = requests.Request(
        "POST", "http://127.0.0.1/", data={"subject_token": "tokentokentoken"}
    ).prepare()
    out = StringIO()
    Transcript(out).exchange(answer)
    assert "subject_token=tokent…" in out.getvalue()
    assert '{"device_code": "012345…", "user_code": "ABCD-EFGH"}' in out.getvalue()


def test_transcript_when_a_row_is_long_then_its_last_cell_goes_on_below_itself():
    out = StringIO()
    Transcript(out).rows([["first", "x", "word " * 30], ["second", "x", "short"]], always=2)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("      first   x  word word")
    assert lines[1].startswith("                 word word")
    assert lines[-1] == "      second  x  short"
    assert all(len(line) <= 100 for line in lines)


def test_transcript_when_a_table_is_wide_then_its_last_cells_stand_below_the_rows():
    out = StringIO()
    wide = "x" * 70
    Transcript(out).rows([["first", wide, "word " * 30], ["second", "y", "-"]])
    lines = out.getvalue().splitlines()
    assert lines[0] == f"      first   {wide}"
    assert lines[1].startswith("                word word")
    assert lines[-1] == "      second  y"
    assert all(len(line) <= 100 for line in lines)
