"""The rules of the source tree that a machine can check."""

import ast
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import delegation_app
from delegation_app import grants
from delegation_app.services.clients import grant_types

pytestmark = pytest.mark.any_database

PACKAGE = Path(delegation_app.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in PACKAGE.rglob("*.py")
    if "migrations" not in path.parts
)


def parse(module):
    return ast.parse((ROOT / module).read_text(encoding="utf-8"))


def imported(module):
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


def test_imports_follow_the_layers(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    # Its logging would disable the loggers of every test that comes after
    monkeypatch.setattr("logging.config.dictConfig", lambda _config: None)
    assert lint_imports(no_cache=True) == 0, capsys.readouterr().out


@pytest.mark.parametrize("module", MODULES)
def test_files_are_short(module):
    assert len((ROOT / module).read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("module", MODULES)
def test_functions_are_short(module):
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(parse(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > 40
    ]
    assert long == []


@pytest.mark.parametrize(
    ("package", "only"),
    [
        ("oauth2_provider", {"delegation_app/toolkit.py"}),
        ("jwt", {"delegation_app/protocol/jose.py"}),
        ("drf_spectacular", {"delegation_app/views/api/openapi.py"}),
    ],
)
def test_one_module_knows_the_package(package, only):
    assert {module for module in MODULES if package in imported(module)} <= only


def test_one_module_makes_loggers():
    """Only there are records made printable."""
    making = {
        module for module in MODULES if "getLogger" in (ROOT / module).read_text(encoding="utf-8")
    }
    assert making == {"delegation_app/protocol/printable.py"}


def test_the_package_itself_imports_nothing():
    assert list(imported("delegation_app/__init__.py")) == []


def test_every_grant_type_has_a_label():
    assert set(grant_types.LABELS) == set(grants.REGISTRY)


# Each model, command and widget has its own
BY_CONVENTION = {"Meta", "Command", "Media"}
FOLDERS = sorted({module.rpartition("/")[0] for module in MODULES})

# Words of this project's own that stand for terms of the field
OLD_WORDS = {
    *(
        "asked",
        "barred",
        "catalogue",
        "chosen",
        "deed",
        "deeds",
        "departures",
        "leafing",
        "lineage",
    ),
    *("manner", "operating", "passing", "pulse", "readmit", "seen", "standing", "stretch", "told"),
    *("wanted", "whole"),
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_are_small(folder):
    assert len([module for module in MODULES if module.rpartition("/")[0] == folder]) <= 15


def test_a_class_name_stands_in_one_module():
    where = defaultdict(set)
    for module in MODULES:
        for node in ast.walk(parse(module)):
            if isinstance(node, ast.ClassDef) and node.name not in BY_CONVENTION:
                where[node.name].add(module)
    assert {name: modules for name, modules in where.items() if len(modules) > 1} == {}


@pytest.mark.parametrize("module", MODULES)
def test_modules_and_classes_have_the_names_of_the_field(module):
    classes = [node.name for node in ast.walk(parse(module)) if isinstance(node, ast.ClassDef)]
    words = {word.lower() for name in classes for word in re.findall(r"[A-Z][a-z]+", name)}
    words |= set(module.removesuffix(".py").replace("/", "_").split("_"))
    assert words & OLD_WORDS == set()


def test_architecture_page_names_only_what_is_there():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", page))
    assert len(named) > 20
    assert {name for name in named if not (PACKAGE / name).is_file()} == set()


def test_architecture_page_shows_the_layers_of_the_contracts():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = page.split("## Layers")[1].split("```")[1::2]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = [c["layers"] for c in contracts["tool"]["importlinter"]["contracts"] if "layers" in c]
    for block, contract in zip(shown, layers, strict=True):
        lines = [line for line in block.splitlines() if line]
        have = [set(layer.replace("delegation_app.", "").split(" | ")) for layer in contract]
        at = [
            next(number for number, layer in enumerate(have) if set(line.split(" | ")) <= layer)
            for line in lines
        ]
        assert at == sorted(set(at))


def code_lines(module):
    """The lines of a module without its imports and empty lines."""
    lines = (ROOT / module).read_text(encoding="utf-8").splitlines()
    for node in ast.walk(parse(module)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return [line.strip() for line in lines if line.strip()]


def test_nine_lines_stand_in_one_place():
    where = defaultdict(set)
    for module in MODULES:
        lines = code_lines(module)
        for start in range(len(lines) - 8):
            where[tuple(lines[start : start + 9])].add(module)
    assert {run[0]: modules for run, modules in where.items() if len(modules) > 1} == {}
