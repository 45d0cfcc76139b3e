"""The demo's passwords and secrets: made at random once, then kept in a file."""

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from django.utils.crypto import get_random_string

# Letters and digits that nobody confuses when typing them
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_PASSWORD_LENGTH: Final = 20
_SECRET_LENGTH: Final = 43


class Unreadable(Exception):
    """The file is there, and is not what was written to it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The password of each user and the secret of each confidential client, by name."""

    users: Mapping[str, str]
    clients: Mapping[str, str]


def load_or_make(path: Path, *, users: Iterable[str], clients: Iterable[str]) -> Credentials:
    """Return the credentials in a file; what is missing there is made and added.

    Args:
        path: the file.
        users: the users who need a password.
        clients: the clients that need a secret.

    Raises:
        Unreadable: the file holds something else.
    """
    known = _read(path)
    complete = Credentials(
        users=_filled(known.users, users, _PASSWORD_LENGTH),
        clients=_filled(known.clients, clients, _SECRET_LENGTH),
    )
    if complete != known:
        _write(path, complete)
    return complete


def secret_of(path: Path, client_id: str) -> str | None:
    """Return the secret of a client as it stands in a file, or None if it is not there.

    Raises:
        Unreadable: the file holds something else.
    """
    return _read(path).clients.get(client_id)


def _filled(known: Mapping[str, str], wanted: Iterable[str], length: int) -> dict[str, str]:
    missing = [name for name in wanted if name not in known]
    return {**known, **{name: get_random_string(length, _ALPHABET) for name in missing}}


def _read(path: Path) -> Credentials:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Credentials(users=_strings(stored["users"]), clients=_strings(stored["clients"]))
    except FileNotFoundError:
        return Credentials(users={}, clients={})
    except (ValueError, KeyError, TypeError) as error:
        raise Unreadable(f"{path} is damaged; delete it to get new credentials.") from error


def _strings(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise TypeError
    return value


def _write(path: Path, credentials: Credentials) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Readable by its owner alone from the start, and complete or not there at all.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as draft:
            json.dump(asdict(credentials), draft, indent=2)
            draft.flush()
            os.fsync(draft.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
