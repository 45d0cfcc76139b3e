"""The docs become a site without a warning: no dead link, no page that no list names."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.any_database,
    pytest.mark.skipif(find_spec("sphinx") is None, reason="needs Sphinx"),
]


def test_docs_when_built_as_a_site_then_nothing_is_amiss(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    folders = ["-d", tmp_path / "trees", ROOT / "docs", tmp_path / "site"]

    done = subprocess.run(
        [*command, *folders], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for page, text in {
        "client": 'id="delegation_app.client.Client.exchange"',
        "commands": "--dry-run",
        "errors": "invalid_target",
        "events": "consent.granted",
        "server": 'id="delegation_app.conf',
        "testing": 'id="delegation_app.testing.fake_issuer.FakeIssuer.token"',
    }.items():
        assert text in (tmp_path / f"site/reference/{page}.html").read_text()
