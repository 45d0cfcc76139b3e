"""The logos of clients: validation and storage."""

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
    """The bytes are not an acceptable image."""


def kind_of(data: bytes) -> ClientLogo.ImageType:
    """Return the type of an image by its first bytes, regardless of name and declared type.

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
    """Store an image as the logo of a client, replacing the current one.

    Raises:
        NoLogo: see `kind_of`.

    Side effects: one row. The caller records the change of the client.
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
    """Delete the logo of a client. Side effects: at most one row."""
    ClientLogo.objects.filter(policy=policy).delete()


def address_of(policy: ClientPolicy) -> str:
    """Return the digest in the URL of a client's logo; empty without one."""
    digests = ClientLogo.objects.filter(policy=policy.pk).values_list("digest", flat=True)
    return digests.first() or ""


def find(digest: str) -> ClientLogo | None:
    """Return the logo with a digest."""
    # The database refuses some characters, so only digests reach it
    if not _DIGEST.fullmatch(digest):
        return None
    return ClientLogo.objects.filter(digest=digest).first()
