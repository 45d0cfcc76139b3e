"""Reading the environment. Needs no settings, so it can be used while they load."""

import contextlib
import os
import tempfile
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def flag(name: str, *, default: bool) -> bool:
    """The boolean in an environment variable; anything that is neither yes nor no is refused."""
    value = os.environ.get(name, "").strip().lower()
    if not value:
        return default
    if value in TRUE | FALSE:
        return value in TRUE
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.")


def items(name: str) -> list[str]:
    """The comma-separated values in an environment variable."""
    return [value.strip() for value in os.environ.get(name, "").split(",") if value.strip()]


def required(name: str, why: str) -> str:
    """The value of an environment variable without which the site must not start."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise ImproperlyConfigured(f"{name} is not set: {why}")
    return value


def local_secret_key(path: Path) -> str:
    """The secret key of a development machine: made once, then read."""
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
