"""The transcript of the story: requests, answers and claims, with secrets cut short."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, Final
from urllib.parse import parse_qsl, urlsplit

from bs4 import BeautifulSoup
from requests import PreparedRequest, Response
from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

# Form fields, query parameters and JSON members that hold secrets
SECRET: Final = re.compile(
    "((access|refresh|subject)_)?token|(device_)?code|code_verifier|client_secret|password"
    "|state|handle|prompted|resume|csrfmiddlewaretoken"
)
_SHOWN: Final = 6
_WIDTH: Final = 100


def shortened(value: str) -> str:
    """Return the first characters of a secret."""
    return f"{value[:_SHOWN]}…" if len(value) > _SHOWN else "…"


class Transcript:
    """Writes the story to a stream.

    Args:
        stream: None is standard output.
        colours: whether a terminal may have any; NO_COLOR is respected too.

    Attributes:
        home: the origin that is left out of the addresses of requests.
    """

    def __init__(self, stream: IO[str] | None = None, *, colours: bool = True) -> None:
        self._console = Console(
            file=stream,
            color_system="auto" if colours and not os.environ.get("NO_COLOR") else None,
            markup=False,
            highlight=False,
            emoji=False,
        )
        if not self._console.is_terminal:
            self._console.width = _WIDTH
        self.home = ""
        self._documents: dict[str | None, str] = {}

    def say(self, text: str = "", style: str = "") -> None:
        """Write a line."""
        self._console.print(Text(text, style), soft_wrap=True)

    def status(self, text: str) -> Status:
        """Show progress during a `with` block, on a terminal only."""
        return self._console.status(text)

    def heading(self, number: int, title: str) -> None:
        """Begin a step."""
        self.say(f"\n{number:>2}. {title}", "bold")

    def exchange(self, answer: Response) -> None:
        """Show a request and its answer."""
        self._block("→", "cyan", _request_lines(answer.request, self.home))
        self._block("←", "blue", self._answer_lines(answer))

    def facts(self, title: str, facts: Mapping[str, Any]) -> None:
        """Show names and values, such as claims."""
        self.rows(title, [(name, _plain(value)) for name, value in facts.items()])

    def rows(self, title: str, rows: Iterable[Sequence[str]]) -> None:
        """Show a table."""
        self.say(f"      {title}", "bold")
        grid = Table.grid(padding=(0, 2, 0, 0))
        for row in rows:
            grid.add_row("    ", *(Text(cell, overflow="fold") for cell in row))
        self._console.print(grid)

    def succeeded(self, outcome: str) -> None:
        """End a step that went well."""
        self.say(f"    ✓ {outcome}", "green")

    def failed(self, what: str, *, expected: object, got: object) -> None:
        """End a step that failed."""
        self.say(f"    ✗ {what}", "bold red")
        self.say(f"      expected  {expected}\n      got       {got}")

    def _block(self, mark: str, style: str, lines: Iterable[str]) -> None:
        grid = Table.grid(padding=(0, 1, 0, 0))
        for number, line in enumerate(lines):
            cell = Text(line, overflow="fold")
            grid.add_row("   ", Text("" if number else mark, style), cell)
        self._console.print(grid)

    def _answer_lines(self, answer: Response) -> list[str]:
        lines = [f"{answer.status_code} {answer.reason}", *_header_lines(answer)]
        kind = answer.headers.get("Content-Type", "")
        if "html" in kind and answer.text:
            title = BeautifulSoup(answer.text, "html.parser").title
            lines.append(f"Page: {' '.join(title.get_text().split())}" if title else "Page")
        if "json" in kind:
            body = json.dumps(_without_secrets(answer.json()), ensure_ascii=False)
            # Every app reads the same metadata.
            known = self._documents.get(answer.request.url) == body
            lines.append("(as before)" if known and answer.request.method == "GET" else body)
            self._documents[answer.request.url] = body
        return lines


def _request_lines(request: PreparedRequest, home: str) -> list[str]:
    address, _, query = (request.url or "").removeprefix(home).partition("?")
    shown = _pairs(query, "&")
    lines = [f"{request.method} {address}{'?' if shown else ''}{shown}"]
    if "Authorization" in request.headers:
        scheme, _, value = str(request.headers["Authorization"]).partition(" ")
        lines.append(f"Authorization: {scheme} {shortened(value)}")
    if request.body:
        body = request.body if isinstance(request.body, str) else request.body.decode()
        is_json = "json" in str(request.headers.get("Content-Type"))
        lines.append(_plain(json.loads(body)) if is_json else _pairs(body, "  "))
    return lines


def _header_lines(answer: Response) -> Iterable[str]:
    if "Location" in answer.headers:
        parts = urlsplit(answer.headers["Location"])
        query = f"?{_pairs(parts.query, '&')}" if parts.query else ""
        yield f"Location: {parts._replace(query='').geturl()}{query}"
    if "WWW-Authenticate" in answer.headers:
        yield f"WWW-Authenticate: {answer.headers['WWW-Authenticate']}"


def _pairs(query: str, separator: str) -> str:
    return separator.join(f"{name}={_shown(name, value)}" for name, value in parse_qsl(query))


def _shown(name: str, value: str) -> str:
    if SECRET.fullmatch(name):
        return shortened(value)
    # A path may carry a whole authorization request in its query, secrets included.
    path, question_mark, _ = value.partition("?")
    return f"{path}?…" if question_mark and value.startswith("/") else value


def _plain(value: Any) -> str:
    structured = isinstance(value, dict | list)
    return json.dumps(_without_secrets(value), ensure_ascii=False) if structured else str(value)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: shortened(str(item)) if SECRET.fullmatch(name) else _without_secrets(item)
        for name, item in value.items()
    }
