"""Writing the story down as it happens: requests, answers, claims; secrets are cut short."""

import json
import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOBase
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from django.utils.termcolors import colorize
from requests import PreparedRequest, Response

# Names of form fields, query parameters and JSON members whose values nobody else may have
SECRET: Final = frozenset(
    {
        "access_token",
        "client_secret",
        "code",
        "code_verifier",
        "csrfmiddlewaretoken",
        "device_code",
        "handle",
        "password",
        "prompted",
        "resume",
        "refresh_token",
        "state",
        "subject_token",
        "token",
    }
)
_SHOWN: Final = 6
_WIDTH: Final = 94
_LEAST: Final = 40
# How the admin shows a cell without a value
_EMPTY: Final = "-"


def shortened(value: str) -> str:
    """Return the first characters of a secret."""
    return f"{value[:_SHOWN]}…" if len(value) > _SHOWN else "…"


class Transcript:
    """A story, told to a stream.

    Args:
        stream: where to.
        colours: whether to use any; by default on a terminal that wants them (NO_COLOR).

    Attributes:
        home: the origin whose addresses are told without it; None for all.
    """

    def __init__(self, stream: TextIOBase, *, colours: bool | None = None) -> None:
        self._stream = stream
        self._on_terminal = stream.isatty()
        wanted = self._on_terminal and not os.environ.get("NO_COLOR")
        self._colours = wanted if colours is None else colours and wanted
        self.home: str | None = None
        self._read: dict[str | None, str] = {}

    def say(self, text: str = "") -> None:
        """Write a line."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def progress(self, text: str) -> None:
        """Show what is waited for, on a terminal only; an empty text takes it away."""
        if self._on_terminal:
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()

    def chapter(self, number: int, title: str) -> None:
        """Begin a step."""
        self.say()
        self.say(self._styled(f"{number:>2}. {title}", opts=("bold",)))

    def exchange(self, answer: Response) -> None:
        """Show a request and its answer."""
        self._block("→", _request_lines(answer.request, self.home), fg="cyan")
        self._block("←", self._once(answer), fg="blue")

    def facts(self, title: str, facts: Mapping[str, Any]) -> None:
        """Show names and values, such as claims."""
        self.say(f"      {self._styled(title, opts=('bold',))}")
        width = max(map(len, facts), default=0)
        self._block(" ", [f"{name:<{width}}  {_plain(value)}" for name, value in facts.items()])

    def rows(self, rows: Sequence[Sequence[str]], *, always: int = 1) -> None:
        """Show a table: its first columns, and the others as far as their cells differ.

        Args:
            rows: the cells, row by row.
            always: how many columns are shown even if their cells are all the same.
        """
        columns = [
            column
            for number, column in enumerate(zip(*rows, strict=True))
            if number < always or len(set(column)) > 1
        ]
        widths = [max(map(len, column)) for column in columns[:-1]]
        taken = sum(width + 2 for width in widths)
        # The last column is prose. It goes on below itself, or below the row if that is too long.
        below = _WIDTH - taken < _LEAST
        indent = " " * (widths[0] + 4 if below and widths else taken)
        for row in zip(*columns, strict=True):
            cells = zip(row, widths, strict=False)
            start = "".join(f"{cell:<{width}}  " for cell, width in cells)
            pieces = textwrap.wrap(row[-1], _WIDTH - len(indent)) or [""]
            if below:
                self.say(f"      {start}".rstrip())
                start = indent
            for number, piece in enumerate(pieces if not below or row[-1] != _EMPTY else []):
                self.say(f"      {indent if number else start}{piece}".rstrip())

    def as_told(self, text: str) -> None:
        """End a step well."""
        self.say(self._styled(f"    ✓ {text}", fg="green"))

    def not_as_told(self, what: str, *, expected: object, got: object) -> None:
        """End a step badly."""
        self.say(self._styled(f"    ✗ {what}", fg="red", opts=("bold",)))
        self.say(f"      expected  {expected}")
        self.say(f"      got       {got}")

    def _once(self, answer: Response) -> list[str]:
        lines = _answer_lines(answer)
        is_json = "json" in answer.headers.get("Content-Type", "")
        if answer.request.method != "GET" or not is_json:
            return lines
        # Every app reads the same metadata.
        before = self._read.get(answer.request.url)
        self._read[answer.request.url] = lines[-1]
        return [*lines[:-1], "the same as before"] if before == lines[-1] else lines

    def _block(self, mark: str, lines: Iterable[str], fg: str | None = None) -> None:
        pieces = [piece for line in lines for piece in _wrapped(line)]
        for number, piece in enumerate(pieces):
            self.say(f"    {' ' if number else self._styled(mark, fg=fg)} {piece}")

    def _styled(self, text: str, fg: str | None = None, opts: tuple[str, ...] = ()) -> str:
        return colorize(text, opts=opts, **({"fg": fg} if fg else {})) if self._colours else text


def _request_lines(request: PreparedRequest, home: str | None) -> list[str]:
    parts = urlsplit(request.url or "")
    origin = f"{parts.scheme}://{parts.netloc}"
    place = f"{'' if home in {None, origin} else origin}{parts.path}"
    query = _pairs(parse_qsl(parts.query), "&")
    lines = [f"{request.method} {place}{'?' if query else ''}{query}"]
    if "Authorization" in request.headers:
        scheme, _, value = str(request.headers["Authorization"]).partition(" ")
        lines.append(f"Authorization: {scheme} {shortened(value)}")
    if request.body:
        body = request.body if isinstance(request.body, str) else request.body.decode()
        is_json = "json" in str(request.headers.get("Content-Type"))
        lines.append(_json(json.loads(body)) if is_json else _pairs(parse_qsl(body), "  "))
    return lines


def _answer_lines(answer: Response) -> list[str]:
    lines = [f"{answer.status_code} {answer.reason}"]
    if "Location" in answer.headers:
        address, _, query = answer.headers["Location"].partition("?")
        shown = _pairs(parse_qsl(query), "&")
        lines.append(f"Location: {address}{'?' if shown else ''}{shown}")
    if "WWW-Authenticate" in answer.headers:
        lines.append(f"WWW-Authenticate: {answer.headers['WWW-Authenticate']}")
    kind = answer.headers.get("Content-Type", "")
    if "json" in kind:
        lines.append(_json(answer.json()))
    elif "html" in kind and answer.text:
        title = re.search(r"<title>(.*?)</title>", answer.text, re.DOTALL)
        lines.append(f"a page: {' '.join(title[1].split())}" if title else "a page")
    return lines


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, _WIDTH, subsequent_indent="  ", break_on_hyphens=False) or [""]


def _pairs(pairs: list[tuple[str, str]], separator: str) -> str:
    return separator.join(f"{name}={_shown(name, value)}" for name, value in pairs)


def _shown(name: str, value: str) -> str:
    if name in SECRET:
        return shortened(value)
    # An address within the site may carry a whole request in its query, secrets and all.
    path, asked, _ = value.partition("?")
    return f"{path}?…" if asked and value.startswith("/") else value


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def _json(value: Any) -> str:
    return json.dumps(_without_secrets(value), ensure_ascii=False)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: shortened(str(item)) if name in SECRET else _without_secrets(item)
        for name, item in value.items()
    }
