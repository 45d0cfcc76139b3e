"""How the pages of this folder become a site: `sphinx-build -W -b html docs <folder>`."""

import os
from collections.abc import Callable, Iterator
from importlib.metadata import version as version_of
from typing import Any, Final

import django
from django.conf import settings
from django.core.management import load_command_class
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

# The reference imports what it documents, and no page needs a database.
settings.configure(
    INSTALLED_APPS=[
        "delegation_app",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "oauth2_provider",
        "rest_framework",
        "delegation_app.resource_server",
    ],
    DATABASES={},
    DELEGATION_RESOURCE_SERVER={
        "ISSUER": "https://auth.example.com",
        "AUDIENCE": "https://service-a.example.com",
    },
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from delegation_app import events  # noqa: E402 - needs the settings
from delegation_app.protocol.errors import OAuthError  # noqa: E402

project = "django-delegation"
author = "django-delegation contributors"
version = release = version_of("django-delegation")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples"]
html_theme = "furo"
html_title = f"{project} {release}"

# Pages link to headings of each other as they do on the site of a repository
myst_heading_anchors = 4
# Refusals have the names of the RFCs, and a client and a resource server each have some of them
suppress_warnings = ["ref.python"]

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
# What a framework's own classes say about themselves is not repeated
autodoc_inherit_docstrings = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False

_COMMANDS: Final = ("audit", "delegations", "delegation_outbox", "rotate_signing_keys")


def _rows(*rows: tuple[str, ...]) -> Iterator[str]:
    yield from (".. list-table::", "   :header-rows: 1", "")
    for row in rows:
        for number, cell in enumerate(row):
            yield f"   {'-' if number else '* -'} {cell}".replace("   - ", "     - ", 1)


def _events() -> Iterator[str]:
    known = sorted(events.REGISTRY.values())
    yield from _rows(("Event", "Label"), *((f"``{it.name}``", str(it.label)) for it in known))


def _errors() -> Iterator[str]:
    kinds, found = [OAuthError], []
    while kinds:
        subclasses = kinds.pop().__subclasses__()
        kinds += subclasses
        found += [
            (
                f"``{it.code}``",
                str(it.status),
                (it.__doc__ or "").partition("\n")[0].replace("`", "``"),
            )
            for it in subclasses
            if it.__module__ == OAuthError.__module__
        ]
    yield from _rows(("``error``", "Status", "When"), *sorted(found))


def _commands() -> Iterator[str]:
    os.environ["COLUMNS"] = "100"
    for name in _COMMANDS:
        parser = load_command_class("delegation_app", name).create_parser("manage.py", name)
        for title, shown in ((name, parser), *_subcommands(name, parser)):
            text = shown.format_help().replace("\n", "\n   ")
            yield from (f".. rubric:: {title}", "", ".. code-block:: text", "", f"   {text}", "")


def _subcommands(name: str, parser: Any) -> Iterator[tuple[str, Any]]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to list them
        if isinstance(action.choices, dict):
            yield from ((f"{name} {choice}", shown) for choice, shown in action.choices.items())


class FromCode(SphinxDirective):
    """A part of the reference that is written from the registries of the package."""

    required_arguments = 1
    parts: Final[dict[str, Callable[[], Iterator[str]]]] = {
        "events": _events,
        "errors": _errors,
        "commands": _commands,
    }

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the part that the argument names."""
        return self.parse_text_to_nodes("\n".join(self.parts[self.arguments[0]]()))


def setup(app: Any) -> None:
    """Register the directive."""
    app.add_directive("from-code", FromCode)
