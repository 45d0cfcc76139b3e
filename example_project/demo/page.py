"""Reading an HTML page as far as somebody needs to who fills in forms and follows links."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self

from example_project.demo.expectations import NotAsTold

Attributes = dict[str, str | None]


@dataclass(slots=True)
class Form:
    """A form with the values that a browser would send; buttons are pressed by the caller."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    def filled(self, **answers: str | list[str]) -> list[tuple[str, str]]:
        """Return what is sent if the person answers this; a list ticks several boxes."""
        kept = [(name, value) for name, value in self.fields if name not in answers]
        return kept + [
            (name, value)
            for name, answer in answers.items()
            for value in ([answer] if isinstance(answer, str) else answer)
        ]


class Page(HTMLParser):
    """The forms, links, table rows and preformatted texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self._in_form = False
        # The texts that are being read: of a link, of a cell, of a preformatted text
        self._link: list[str] | None = None
        self._cell: list[str] | None = None
        self._text: list[str] | None = None

    @classmethod
    def of(cls, html: str) -> Self:
        """Read a page."""
        page = cls()
        page.feed(html)
        page.close()
        return page

    def form_with(self, name: str) -> Form:
        """Return the form that asks for `name`.

        Raises:
            NotAsTold: there is none.
        """
        for form in self.forms:
            if name in dict(form.fields):
                return form
        raise NotAsTold("the page", expected=f"a form that asks for {name}", got="none")

    def link_to(self, text: str) -> str:
        """Return the address behind the first link whose text contains `text`, in any case.

        Raises:
            NotAsTold: there is none.
        """
        for label, address in self.links:
            if text.lower() in label.lower():
                return address
        raise NotAsTold("the page", expected=f"a link that says {text}", got="none")

    def address_ending(self, end: str) -> str:
        """Return the address of the first link that leads to an address with this end.

        Raises:
            NotAsTold: there is none.
        """
        for _label, address in self.links:
            if address.endswith(end):
                return address
        raise NotAsTold("the page", expected=f"a link to {end}", got="none")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what starts here."""
        attributes = dict(attrs)
        if tag == "form":
            self.forms.append(Form(attributes.get("action") or ""))
            self._in_form = True
        elif tag in {"input", "textarea", "select"} and self._in_form:
            self._add_field(tag, attributes)
        elif tag == "a" and attributes.get("href"):
            self.links.append(("", attributes["href"] or ""))
            self._link = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self._cell = []
        elif tag == "pre":
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        """Note what ends here."""
        if tag == "form":
            self._in_form = False
        elif tag == "a" and self._link is not None:
            self.links[-1] = (_text(self._link), self.links[-1][1])
            self._link = None
        elif tag in {"td", "th"} and self._cell is not None and self.rows:
            self.rows[-1].append(_text(self._cell))
            self._cell = None
        elif tag == "pre" and self._text is not None:
            self.texts.append("".join(self._text))
            self._text = None

    def handle_data(self, data: str) -> None:
        """Keep the text of links, cells and preformatted texts."""
        for texts in (self._link, self._cell, self._text):
            if texts is not None:
                texts.append(data)

    def _add_field(self, tag: str, attributes: Attributes) -> None:
        name, kind = attributes.get("name"), attributes.get("type", "text")
        if not name or (tag == "input" and kind in {"submit", "button", "image", "reset"}):
            return
        # A box that is not ticked is not sent.
        if kind in {"checkbox", "radio"} and "checked" not in attributes:
            return
        # What a browser sends for a box that does not say what it stands for
        unnamed = "on" if kind in {"checkbox", "radio"} else ""
        self.forms[-1].fields.append((name, attributes.get("value") or unnamed))


def _text(pieces: list[str]) -> str:
    return " ".join("".join(pieces).split())
