"""The demo's passwords and secrets: generated once, then kept in a file."""

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from django.utils.crypto import get_random_string

# Letters and digits that are not mistaken for each other
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_PASSWORD_LENGTH: Final = 20
_SECRET_LENGTH: Final = 43


class Unreadable(Exception):
    """The file is damaged."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The password of each user and the secret of each confidential client, by name."""

    users: dict[str, str] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)


def load(path: Path) -> Credentials:
    """Return the credentials in a file; none if there is no file.

    Raises:
        Unreadable: the file is damaged.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        known = Credentials(dict(stored["users"]), dict(stored["clients"]))
        "".join([*known.users.values(), *known.clients.values()])  # or TypeError
    except FileNotFoundError:
        return Credentials()
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{path} is damaged; delete it to get new credentials.") from error
    return known


def load_or_make(path: Path, *, users: Iterable[str], clients: Iterable[str]) -> Credentials:
    """Return the credentials in a file, after adding what these users and clients lack.

    Raises:
        Unreadable: the file is damaged.
    """
    known = load(path)
    complete = Credentials(
        {name: get_random_string(_PASSWORD_LENGTH, _ALPHABET) for name in users} | known.users,
        {name: get_random_string(_SECRET_LENGTH, _ALPHABET) for name in clients} | known.clients,
    )
    if complete != known:
        _write(path, complete)
    return complete


def _write(path: Path, credentials: Credentials) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Readable by its owner alone from the start, and complete or not there at all
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(credentials), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
