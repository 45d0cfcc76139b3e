"""What is built, and what it asks for."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import delegation_app

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "delegation_app"
HARD = {
    "django",
    "djangorestframework",
    "django-oauth-toolkit",
    "pyjwt",
    "cryptography",
    "requests",
    "urllib3",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    result = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    with zipfile.ZipFile(next(target.glob("*.whl"))) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


@pytest.fixture(scope="module")
def requirements(metadata):
    return [Requirement(line) for line in metadata.get_all("Requires-Dist")]


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("packaging"), pytest.mark.any_database]


def test_the_wheel_holds_every_file_of_the_package(wheel):
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert ours <= set(wheel.namelist())


@pytest.mark.parametrize(
    "pattern",
    [
        r"delegation_app/py\.typed",
        r"delegation_app/templates/.+\.html",
        r"delegation_app/static/.+\.css",
        r"delegation_app/migrations/0001_\w+\.py",
        r"delegation_app/management/commands/\w+\.py",
        r"delegation_app/testing/factories/\w+\.py",
    ],
)
def test_the_wheel_holds(wheel, pattern):
    assert any(re.fullmatch(pattern, name) for name in wheel.namelist())


def test_the_wheel_holds_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"delegation_app"}


def test_hard_dependencies(requirements):
    hard = {canonicalize_name(item.name) for item in requirements if item.marker is None}
    assert hard == HARD


def test_everything_else_is_an_extra(requirements, metadata):
    extras = set(metadata.get_all("Provides-Extra"))
    for item in requirements:
        if item.marker is not None:
            assert not item.marker.evaluate({"extra": ""})
            assert any(item.marker.evaluate({"extra": extra}) for extra in extras)


def test_django_has_no_upper_bound(requirements):
    django = next(item for item in requirements if item.name.lower() == "django")
    assert django.specifier.contains("99.0")


def test_the_version_is_the_package_s_own(metadata):
    assert metadata["Version"] == delegation_app.__version__
    assert metadata["Name"] == "django-delegation"


def test_the_lowest_versions_tested_are_the_lower_bounds():
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    # The other extras are about what this run does not use: a database, a cache
    tested = project["dependencies"] + extras["openapi"] + extras["testing"]
    bounds = {
        canonicalize_name(item.name): [s.version for s in item.specifier if s.operator == ">="]
        for item in map(Requirement, tested)
    }
    lines = (ROOT / ".ci" / "constraints-lowest.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert {canonicalize_name(pin.name) for pin in pins} == bounds.keys()
    for pin in pins:
        (bound,) = bounds[canonicalize_name(pin.name)]
        assert pin.specifier.contains(bound), pin
