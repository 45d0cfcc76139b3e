"""The first steps of the docs, followed from an empty folder to the answer of a service.

Only the addresses differ: a port that is free takes the place of 8000 and 8001.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from textwrap import dedent

import pytest
import requests

from example_project.demo import servers
from tests.sites.first_token import CLIENT, SERVER

pytestmark = [pytest.mark.slow, pytest.mark.any_database]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GETTING_STARTED = (ROOT / "docs/getting-started.md").read_text()
SETTINGS = (ROOT / "docs/reference/settings.md").read_text()
RESOURCE_SERVERS = (ROOT / "docs/resource-server.md").read_text()
OWN = ("DJANGO_", "DELEGATION_", "DATABASE_", "DEMO_", "REDIS_", "COV_")
SITE = {"DJANGO_SETTINGS_MODULE": "mysite.settings"}
# A cache that counts exactly is the operator's to choose
CACHE = "delegation_app.E020"
SERVICE_PROJECT = 'SECRET_KEY = "of no value to anyone"\nROOT_URLCONF = "urls"\n'


def section(heading, page=README):
    return page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def blocks(text, language):
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, flags=re.DOTALL | re.MULTILINE)
    return [dedent(block) for _, block in found]


def environment(**own):
    """Of a shell in which nothing is set, and `python` is the one that runs the tests."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    path = os.pathsep.join([str(Path(sys.executable).parent), clean["PATH"]])
    return clean | {"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **own}


def run(command, folder, **own):
    """Run a line of a shell; return what it wrote."""
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment(**own),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout + done.stderr


def warnings(output):
    return set(re.findall(r"\((\w+\.[EW]\d{3})\)", output))


@contextmanager
def serving(command, folder, address, **own):
    """Run a server beside the test, until its end."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["sh", "-c", f"exec env {command} --noreload"],
            cwd=folder if (folder / "manage.py").exists() else ROOT,
            env=environment(**own),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        give_up = time.monotonic() + 60
        while not answers(address):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()


def answers(address):
    try:
        requests.get(address, timeout=5)
    except requests.RequestException:
        return False
    return True


def new_service(folder, issuer, text=None):
    """A project with the blocks for settings and URLs, and nothing else but what each has."""
    folder.mkdir()
    shown = blocks(text or section("Protect an API"), "python")
    settings = shown[0].replace("https://auth.example.com", issuer)
    debug = "DEBUG = True\n" if issuer.startswith("http:") else ""
    (folder / "settings.py").write_text(SERVICE_PROJECT + debug + settings)
    (folder / "urls.py").write_text(next(block for block in shown if "urlpatterns" in block))
    return {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}


@pytest.mark.parametrize(
    "text",
    [section("Protect an API"), section("Quick start", RESOURCE_SERVERS)],
    ids=["README.md", "resource-server.md"],
)
def test_service_when_it_has_the_settings_of_the_docs_then_it_starts(tmp_path, text):
    own = new_service(tmp_path / "service", "https://auth.example.com", text)

    assert "no issues" in run("python -m django check", tmp_path, **own)


@dataclass
class Followed:
    """A project in which the steps were followed, up to the start of its server."""

    folder: Path
    address: str
    port: int
    warned: set[str]
    secret: str
    serve: str
    curl: str
    silenced: str


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """One project for the module; its tests leave it as it is."""
    folder, [port] = tmp_path_factory.mktemp("site"), servers.free_ports(1)
    address = f"http://127.0.0.1:{port}"
    steps = section("Add it to your project", GETTING_STARTED).replace(
        "http://127.0.0.1:8000", address
    )
    *in_steps, silenced = blocks(steps, "python")
    [urls] = [block for block in in_steps if "urlpatterns" in block]
    commands, curl = (block.strip() for block in blocks(steps, "sh"))
    migrate, check, superuser, serve = commands.splitlines()
    run("python -m django startproject mysite .", folder)
    with (folder / "mysite/settings.py").open("a") as settings:
        settings.writelines(block for block in in_steps if block is not urls)
    (folder / "mysite/urls.py").write_text(urls)

    run(migrate, folder)
    warned = warnings(run(check, folder))
    account = {"USERNAME": "boss", "EMAIL": "boss@example.com", "PASSWORD": "a long password"}
    account = {f"DJANGO_SUPERUSER_{name}": value for name, value in account.items()}
    run(f"{superuser} --noinput", folder, **account)
    for value in (CLIENT["client_id"], CLIENT["name"], *SERVER.values()):
        assert f"`{value}`" in steps
    secret = evaluate("first_token.enter()", "from tests.sites import first_token", folder, SITE)
    return Followed(folder, address, port, warned, secret, serve, curl, silenced)


def evaluate(expression, imports, folder, own):
    """Return what an expression is in a project, as text."""
    script = f"import django; django.setup(); {imports}; print({expression})"
    return run(f"python -c {quote(script)}", folder, **own).splitlines()[-1]


def test_site_when_the_steps_are_followed_then_only_the_cache_is_left_to_choose(followed):
    assert followed.warned == {"delegation_app.W020"}


def test_site_when_the_steps_are_followed_then_a_service_accepts_its_first_token(
    followed, tmp_path
):
    site, address = followed.folder, followed.address
    with serving(f"{followed.serve} {followed.port}", site, f"{address}/oauth/jwks"):
        page = requests.get(f"{address}/connections/", timeout=10)
        assert (page.status_code, page.url.split("?")[0]) == (200, f"{address}/accounts/login/")
        told = run(f"{followed.curl} -sS", site, SECRET=followed.secret).splitlines()[-1]
        headers = {"Authorization": f"Bearer {json.loads(told)['access_token']}"}
        asked = f"Client().get('/metrics', headers={headers}, HTTP_HOST='127.0.0.1').content"
        service = new_service(tmp_path / "service", address)
        given = evaluate(asked, "from django.test import Client", tmp_path, service)

    assert given == str(b'{"subject":"client:cron","acts":"cron"}')


def test_site_when_it_is_deployed_and_silences_what_the_readme_says_then_no_warning_is_of_the_apps(
    followed, tmp_path
):
    # Tests run in any order, and the others need the project as it is
    folder = shutil.copytree(followed.folder, tmp_path / "deployed")
    ours = "DEBUG = False\nDELEGATION['ISSUER'] = 'https://auth.example.com'\n"
    with (folder / "mysite/settings.py").open("a") as settings:
        settings.write(f"{ours}{followed.silenced}SILENCED_SYSTEM_CHECKS += ['{CACHE}']\n")

    left = warnings(run("python manage.py check --deploy", folder))

    assert {number.split(".")[0] for number in left} == {"security"}


def test_demo_when_a_service_is_started_by_itself_then_the_commands_before_it_suffice(tmp_path):
    told = re.search(
        r"`(DEMO_SERVICE=[^`]+)`\s+starts one by itself, after `(\S[^`]+)` and `(\S[^`]+)`",
        SETTINGS,
    )
    own, [port] = {"DEMO_DIR": str(tmp_path)}, servers.free_ports(1)
    for command in (told[2], told[3]):
        run(command, ROOT, **own)

    address = f"http://127.0.0.1:{port}/.well-known/oauth-protected-resource"
    with serving(told[1].replace("8001", str(port)), tmp_path, address, **own):
        assert requests.get(address, timeout=10).status_code == 200
