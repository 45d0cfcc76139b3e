"""The pictures of clients: what may be one, and where it is kept."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from delegation_app.models import ClientLogo, ClientPolicy
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services.transactions import nested

LARGEST: Final = 64 * 1024

_KINDS: Final = (
    (ClientLogo.ImageType.PNG, re.compile(rb"\x89PNG\r\n\x1a\n")),
    (ClientLogo.ImageType.JPEG, re.compile(rb"\xff\xd8\xff")),
    (ClientLogo.ImageType.WEBP, re.compile(rb"RIFF.{4}WEBP", re.DOTALL)),
)
_DIGEST = re.compile(r"[0-9a-f]{64}")


class NoLogo(InvalidRequest):
    """These bytes are no picture that may be shown."""


def kind_of(data: bytes) -> ClientLogo.ImageType:
    """Return what an image is, by its first bytes: a name or a declared type proves nothing.

    Raises:
        NoLogo: larger than 64 KiB, or neither PNG, JPEG nor WebP.
    """
    if len(data) > LARGEST:
        raise NoLogo(f"The image is larger than {LARGEST // 1024} KiB.")
    for kind, start in _KINDS:
        if start.match(data):
            return kind
    raise NoLogo("The image is neither PNG, JPEG nor WebP.")


def put(policy: ClientPolicy, data: bytes) -> ClientLogo:
    """Keep an image as the logo of a client, in place of the one that it had.

    Raises:
        NoLogo: see `kind_of`.

    Side effects: one row. The change of the client is recorded by whoever makes it.
    """
    columns = {
        "data": data,
        "content_type": kind_of(data),
        "digest": hashlib.sha256(data).hexdigest(),
    }
    with nested():
        logo, _made = ClientLogo.objects.update_or_create(policy=policy, defaults=columns)
    return logo


def drop(policy: ClientPolicy) -> None:
    """Let a client have no logo. Side effects: at most one row."""
    ClientLogo.objects.filter(policy=policy).delete()


def address_of(policy: ClientPolicy) -> str:
    """Return the digest under which a client's logo is served; empty if it has none."""
    digests = ClientLogo.objects.filter(policy=policy.pk).values_list("digest", flat=True)
    return digests.first() or ""


def find(digest: str) -> ClientLogo | None:
    """Return the image that an address names."""
    # Nothing else is asked of the database, which refuses some characters
    if not _DIGEST.fullmatch(digest):
        return None
    return ClientLogo.objects.filter(digest=digest).first()
