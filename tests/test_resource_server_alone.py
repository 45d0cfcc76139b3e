"""The tests of a resource server, in a process whose settings have no database and no server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALONE = ROOT / "tests" / "resource_server" / "isolated"
# Fewer would mean that some were not found
LEAST = 500


@pytest.mark.any_database
def test_resource_server_when_it_is_alone_then_its_tests_pass():
    ours = ("PYTEST_", "DJANGO_", "TEST_DATABASE_URL", "DATABASE_URL", "DELEGATION_")
    environment = {name: os.environ[name] for name in os.environ if not name.startswith(ours)}

    process = subprocess.run(
        [sys.executable, "-m", "pytest", ALONE, "-q"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert process.returncode == 0, process.stdout + process.stderr
    told = re.search(r"^(\d+) passed in ", process.stdout, flags=re.MULTILINE)
    assert told is not None, process.stdout
    assert int(told[1]) >= LEAST
