"""What README and docs say is what the code does."""

import ast
import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.util import find_spec
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
from delegation_app.resource_server.verifiers import offline
from delegation_app.testing.factories import UserFactory
from delegation_app.testing.fake_issuer import FakeIssuer
from example_project import database_url
from tests import consequences

pytestmark = pytest.mark.any_database

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


SOURCE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]
GETTING_STARTED = (ROOT / "docs/getting-started.md").read_text()


# The tests that run the code of each page
RUN_BY = {
    "CONTRIBUTING.md": "test_docs.py",
    "README.md": "sites/test_getting_started.py",
    "docs/api.md": "views/api/test_docs.py",
    "docs/checks.md": "test_docs.py",
    "docs/client.md": "client/test_docs.py",
    "docs/constraints.md": "test_docs.py",
    "docs/getting-started.md": "sites/test_getting_started.py",
    "docs/operating.md": "management/test_operating.py",
    "docs/reference/endpoints.md": "views/test_endpoint_classes.py",
    "docs/resource-server.md": "test_docs.py",
    "docs/testing.md": "testing/test_docs.py",
}


def fenced(page, language):
    """The code blocks of a page in a language."""
    text = (ROOT / page).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def in_tree(page, target):
    """The file that a link or a picture of a page names; None for other sites."""
    path = re.sub(rf"^{re.escape(SOURCE)}/(blob|raw)/main/", "", target)
    if path != target:
        return ROOT / path
    return None if re.match("https?:", target) else page.parent / target


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
    assert not numbers & {"E005", "E008", "E009", "E010", "E011"}


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
        (text, in_tree(page, path))
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
    for target in re.findall(r"\]\((?!#)([^)#]+)", page.read_text()):
        path = in_tree(page, target)
        assert path is None or path.exists(), target


def test_readme_when_it_is_shown_on_a_package_index_then_its_links_work():
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert [target for target in targets if not target.startswith("https://")] == []


# Code blocks


def test_docs_when_a_page_has_code_then_a_test_runs_it():
    with_code = {
        path.relative_to(ROOT).as_posix()
        for path in PAGES
        if re.search(r"^ *```(sh|python|json)$", path.read_text(), flags=re.MULTILINE)
    }
    assert with_code == RUN_BY.keys()
    for page, test in RUN_BY.items():
        assert Path(page).name in (ROOT / "tests" / test).read_text()


def test_contributing_when_it_has_commands_then_they_name_what_is_there():
    tools, paths = set(), set()
    for line in "".join(fenced("CONTRIBUTING.md", "sh")).splitlines():
        words = shlex.split(line)
        tools |= {
            word.removeprefix(".venv/bin/") for word in words if word.startswith(".venv/bin/")
        }
        paths |= {word for word in words if word.startswith(("docs", "tests/", "requirements"))}
    assert {"pip", "ruff", "mypy", "pytest", "sphinx-build"} <= tools
    assert [name for name in tools if not Path(sys.executable).with_name(name).exists()] == []
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_docs_when_they_name_a_benchmark_then_it_is_there():
    text = "".join(page.read_text() for page in PAGES)
    modules = set(re.findall(r"python -m (benchmarks\.\w+)", text))
    assert len(modules) > 5
    assert [name for name in modules if find_spec(name) is None] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", "".join(fenced("docs/checks.md", "sh")).splitlines())
def test_checks_when_a_command_of_the_page_is_run_then_it_works(tmp_path, command):
    own = {
        "DJANGO_DEBUG": "0",
        "DJANGO_SECRET_KEY": "".join(chr(33 + (7 * i) % 90) for i in range(60)),
        "DELEGATION_ISSUER": "https://auth.example.com",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "REDIS_URL": "redis://127.0.0.1:1",
    }
    program, *arguments = shlex.split(command, comments=True)
    done = subprocess.run(
        [sys.executable, program, *arguments],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "example_project.settings", **own},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.django_db
def test_operating_when_it_shows_settings_then_they_are_known_and_those_of_the_example():
    blocks = fenced("docs/operating.md", "python")
    timeouts, pool = (
        ast.literal_eval(f"{{{block}}}")["OPTIONS"] for block in blocks if block.startswith('"OPT')
    )
    known = {**database_url.POSTGRES_OPTIONS, "options": database_url.POSTGRES_SESSION}
    assert (timeouts, pool) == (known, {"pool": database_url.POOL})
    for block in blocks:
        if not block.startswith('"OPT'):
            site = {"user": UserFactory()}
            exec(block, site)  # noqa: S102 - what the page shows
            assert site.get("DELEGATION", {}).keys() <= conf.DEFAULTS.keys()


def test_resource_server_when_the_page_shows_code_then_it_runs(monkeypatch):
    issuer = FakeIssuer("https://auth.example.com", "https://service-a.example.com")
    monkeypatch.setattr(offline, "OfflineVerifier", lambda *_arguments: issuer.verifier())
    text = issuer.token(scope="read:metrics")
    for block in fenced("docs/resource-server.md", "python"):
        page = {"__name__": "page", "text": text}
        exec(block, page)  # noqa: S102 - what the page shows
        if "verifier.verify(text" in block and "Flask" not in block:
            assert page["token"].allows(["read:metrics"])
    # The last block is a service on Flask
    service = page["app"].test_client()
    refused = service.get("/")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer realm=")
    assert service.get("/", headers={"Authorization": f"Bearer {text}"}).status_code == 404


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
