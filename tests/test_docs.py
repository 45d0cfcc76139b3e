"""What README and docs say is what the code does."""

import ast
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from django.urls import get_resolver
from django.utils import timezone

from delegation_app import checks, conf, grants
from delegation_app.protocol.constraints import (
    BUILT_IN,
    AccessContext,
    Constraints,
    EnforcementPoint,
)
from tests import consequences

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


GETTING_STARTED = (ROOT / "docs/getting-started.md").read_text()


def table(page):
    text = (ROOT / "docs/reference" / page).read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_readme_when_it_lists_settings_then_they_are_the_settings_with_their_defaults():
    listed = {row[0].strip("`"): row[1].strip("`") for row in table("settings.md")}

    assert listed.keys() == conf.DEFAULTS.keys()
    assert listed.pop("ISSUER") == "required"
    for name, default in listed.items():
        assert ast.literal_eval(default) == conf.DEFAULTS[name], name


def test_readme_when_it_lists_endpoints_then_they_are_the_urls():
    listed = {row[0].strip("`").lstrip("/") for row in table("endpoints.md")}
    ours = [
        p for p in get_resolver().url_patterns if getattr(p, "app_name", "") == "delegation_app"
    ]
    served = {str(p.pattern) for p in ours[0].url_patterns if "<" not in str(p.pattern)}

    assert listed == served
    for grant_type in grants.REGISTRY:
        assert f"`{grant_type}`" in (ROOT / "docs/reference/endpoints.md").read_text()


def test_checks_when_the_page_lists_them_then_each_number_of_the_code_is_there_once():
    modules = Path(checks.__file__).parent.glob("*.py")
    numbers = {
        number for path in modules for number in re.findall(r'"([EW]\d{3})"', path.read_text())
    }
    page = (ROOT / "docs/checks.md").read_text()
    listed = re.findall(r"^\| ([EW]\d{3}) \|", page, flags=re.MULTILINE)

    assert sorted(listed) == sorted(numbers)
    # Of those that are gone, none is given away again
    assert not numbers & {"E008", "E009", "E010", "E011"}


def test_readme_when_it_tells_consequences_then_they_are_those_that_tests_show():
    assert consequences.written(README) == README


SETTINGS = """
SECRET_KEY = "a key of no value to anyone, but long enough for the check to be content with"
ALLOWED_HOSTS = ["*"]
DEBUG = False
ROOT_URLCONF = "urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}}
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
    "django.contrib.sessions", "django.contrib.messages", "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
STATIC_URL = "static/"
"""


def block(containing):
    """The code block of the first steps that has this text in it."""
    blocks = re.findall(r"```python\n(.*?)```", GETTING_STARTED, flags=re.DOTALL)
    return dedent(next(text for text in blocks if containing in text))


@pytest.mark.slow
@pytest.mark.parametrize("registry", ["", "oauth2_provider", "oauth2_provider.apps.DOTConfig"])
def test_readme_when_its_edits_are_made_to_an_existing_project_then_it_works(tmp_path, registry):
    edits = block("INSTALLED_APPS +=")
    if registry:
        edits = f'INSTALLED_APPS += ["{registry}"]\n{edits}'
    else:
        edits += block("OAUTH2_PROVIDER =")
    (tmp_path / "settings.py").write_text(f"{SETTINGS}\n{edits}{block('transaction_mode')}")
    (tmp_path / "urls.py").write_text(block('include("delegation_app.urls")'))

    def manage(*arguments):
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "django", *arguments, "--pythonpath", str(tmp_path)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    for arguments in (["migrate"], ["check"], ["makemigrations", "--check", "--dry-run"]):
        result = manage(*arguments)
        assert result.returncode == 0, result.stderr
    script = (
        "from django.test import Client; "
        "r = Client().get('/.well-known/oauth-authorization-server', secure=True); "
        "assert r.json()['issuer'] == 'https://auth.example.com', r.content"
    )
    result = manage("shell", "-c", script)
    assert result.returncode == 0, result.stderr


def test_docs_when_they_show_pages_then_their_pictures_are_there_and_small():
    shown = [
        (text, page.parent / path)
        for page in PAGES
        for text, path in re.findall(r"!\[([^]]+)\]\(([^)]+)\)", page.read_text())
    ]

    assert len(shown) >= 6
    for text, picture in shown:
        assert len(text) > 20, "a text for those who do not see it"
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size <= 150 * 1024
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    command = re.search(r"PICTURES_DIR=(\S+) \S+ (\S+)", contributing)
    assert (ROOT / command[2]).exists()
    # The command leaves the pictures that are under version control as they are
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert f"{Path(command[1]).parts[0]}/" in ignored


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_docs_when_they_name_what_is_in_the_package_then_it_is_there(page):
    text = page.read_text()
    named = set(re.findall(r"\bdelegation_app(?:\.(?![EW]\d)\w+)+", text))
    for module, names in re.findall(
        r"^ *from (delegation_app\S*) import (.+)$", text, re.MULTILINE
    ):
        named |= {f"{module}.{name}" for name in names.split(", ")}

    for name in named:
        assert pkgutil.resolve_name(name), name


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_docs_when_they_link_to_a_file_then_it_is_there(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


CONSTRAINTS = (ROOT / "docs/constraints.md").read_text()


def code(language, containing=""):
    blocks = re.findall(rf"```{language}\n(.*?)```", CONSTRAINTS, flags=re.DOTALL)
    return next(text for text in blocks if containing in text)


def test_constraints_when_the_page_shows_them_then_each_built_in_one_is_there_and_parses():
    shown = Constraints.parse(json.loads(code("json")))

    assert {constraint.TYPE for constraint in shown} == {cls.TYPE for cls in BUILT_IN}
    for cls in BUILT_IN:
        assert f"| `{cls.TYPE}` |" in CONSTRAINTS


def test_constraints_when_the_page_tells_how_to_write_one_then_it_works():
    site = {}
    exec(code("python", "class "), site)  # noqa: S102 - what the page shows
    own = site["OnlyReading"].parse({"type": "only_reading"})
    now = timezone.now()

    assert own.refusal(AccessContext(EnforcementPoint.RESOURCE, now, method="GET")) is None
    assert (
        own.refusal(AccessContext(EnforcementPoint.RESOURCE, now, method="POST"))
        == "Only reading is allowed."
    )


def test_readme_is_a_page():
    assert len(README.splitlines()) < 150
