"""The words of the package: plain, addressed to a role, and short on pages."""

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import delegation_app
from tests.support import site_map

pytestmark = pytest.mark.any_database

PACKAGE = Path(delegation_app.__file__).parent
UNCLEAR = re.compile(r"\bcan not\b|\bsomebody\b|\bnobody\b|\bwhoever\b|\bTell whether\b| told\b")
FILES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in PACKAGE.rglob("*")
    if path.suffix in {".py", ".html"} and "migrations" not in path.parts
)

LONGEST = 25
BLOCKS = {"dd", "dt", "h1", "h2", "h3", "label", "legend", "li", "option", "p", "td", "th", "title"}
SKIPPED = {"script", "style", "svg", "textarea", "code", "pre"}


def texts(path):
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        return [source]
    constants = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return [node.value for node in constants if isinstance(node.value, str)]


@pytest.mark.parametrize("name", FILES)
def test_texts_name_roles_and_say_what_is_returned(name):
    assert [text for text in texts(PACKAGE / name) if UNCLEAR.search(text)] == []


class Sentences(HTMLParser):
    """The sentences of a page, each of one block of text."""

    def __init__(self):
        super().__init__()
        self.found, self._text, self._skipped = [], [], 0

    def handle_starttag(self, tag, attrs):
        if tag in BLOCKS or tag in {"div", "br"}:
            self.end_block()
        self._skipped += tag in SKIPPED

    def handle_endtag(self, tag):
        if tag in BLOCKS or tag == "div":
            self.end_block()
        self._skipped -= tag in SKIPPED

    def handle_data(self, data):
        if not self._skipped:
            self._text.append(data)

    def end_block(self):
        text = " ".join("".join(self._text).split())
        self.found += re.split(r"(?<=[.?!:;]) ", text)
        self._text = []


def long_sentences(html):
    parser = Sentences()
    parser.feed(html)
    parser.end_block()
    return [text for text in parser.found if len(text.split()) > LONGEST]


def test_sentences_are_found_across_inline_tags_only():
    page = "<p>One <b>two</b>.</p><p>Three four. Five</p><script>six</script>"
    parser = Sentences()
    parser.feed(page)
    assert [text for text in parser.found if text] == ["One two.", "Three four.", "Five"]
    assert long_sentences(f"<p>{'word ' * (LONGEST + 1)}</p>") != []


@pytest.mark.parametrize("role", ["alice", "operator"])
def test_sentences_on_pages_are_short(world, role):
    town = site_map.Town(world)
    pages = 0
    for line, address in town.addresses():
        if line.get[role] != "200" or "/api/" in address:
            continue
        response = town.get(role, address)
        if response["Content-Type"].startswith("text/html"):
            pages += 1
            assert long_sentences(response.content.decode()) == [], address
    assert pages > {"alice": 5, "operator": 40}[role]
