"""Every example of docs/testing.md passes, in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from delegation_app.testing import factories, pytest_plugin

pytestmark = pytest.mark.any_database

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/testing.md").read_text()
RESOURCE_SERVER, SITE = PAGE.split("## A site with the authorization server")
FILE = re.compile(r"```python\n# (\w+\.py)\n(.*?)```", flags=re.DOTALL)

SETTINGS = """
from tests.resource_server.settings import *
ROOT_URLCONF = "metrics"
DELEGATION_RESOURCE_SERVER = {
    "ISSUER": "https://auth.example.com", "AUDIENCE": "https://service-a.example.com",
}
"""


def run(directory, settings, *arguments):
    ours = ("PYTEST_", "DJANGO_", "TEST_DATABASE_URL", "DATABASE_URL", "DELEGATION_")
    environment = {name: os.environ[name] for name in os.environ if not name.startswith(ours)}
    environment |= {
        "DJANGO_SETTINGS_MODULE": settings,
        "PYTHONPATH": os.pathsep.join([str(directory), str(ROOT)]),
    }
    (directory / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def written(page, directory):
    """Write the files of a part of the page; return how many tests they have."""
    files = dict(FILE.findall(page))
    for name, text in files.items():
        (directory / name).write_text(text)
    return sum(text.count("def test_") for text in files.values())


@pytest.mark.slow
def test_page_when_a_resource_server_follows_it_then_its_tests_pass(tmp_path):
    (tmp_path / "resource_server_settings.py").write_text(SETTINGS)
    expected = written(RESOURCE_SERVER, tmp_path)

    result = run(tmp_path, "resource_server_settings")

    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{expected} passed" in result.stdout
    assert expected == 8


@pytest.mark.slow
def test_page_when_a_site_follows_it_then_its_tests_pass(tmp_path):
    expected = written(SITE, tmp_path)
    (tmp_path / "conftest.py").write_text(dict(FILE.findall(RESOURCE_SERVER))["conftest.py"])

    result = run(tmp_path, "tests.settings", "--nomigrations")

    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{expected} passed" in result.stdout
    assert expected == 5


@pytest.mark.django_db
def test_page_when_it_subclasses_a_factory_then_that_works():
    (text,) = re.findall(r"```python\n(from [^`]*class StaffFactory.*?)```", SITE, flags=re.DOTALL)
    module = {"__name__": "page"}

    exec(text, module)  # noqa: S102 - what the page shows

    assert module["StaffFactory"]().is_staff


def test_page_when_it_has_code_then_every_block_is_run():
    assert PAGE.count("```python") == len(FILE.findall(PAGE)) + 1


def test_page_when_it_lists_factories_and_fixtures_then_none_is_left_out():
    listed = re.findall(r"^\| `(\w+)` \|(?: `(\w+)`)?", SITE, flags=re.MULTILINE)
    fixtures = {name for name in vars(pytest_plugin) if name.endswith("_factory")} - {"_factory"}

    assert {name for name, _ in listed} == {
        name for name in factories.__all__ if name.endswith("Factory")
    }
    assert {name for _, name in listed if name} == fixtures | {"token_for"}
