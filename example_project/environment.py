"""The environment. Needs no settings, so the settings can use it."""

import contextlib
import os
import tempfile
from pathlib import Path

from django.core.management.utils import get_random_secret_key
from environs import Env

env = Env()


def local_secret_key(path: Path) -> str:
    """The secret key of a development machine, generated on first use."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="ascii")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A link appears complete or not at all, so processes that start together agree on one key.
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="ascii") as draft:
        draft.write(get_random_secret_key())
    try:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(name)
    finally:
        Path(name).unlink()
    return path.read_text(encoding="ascii")
