"""What the status list says of a token, read as somebody who has only the token."""

import gzip

from delegation_app.protocol.status_list import StatusList
from tests.support.world import claims_of

ORIGIN = "https://as.example.com"


def reference(token):
    """Where its status stands: the path of the list, and the index in it."""
    entry = claims_of(token)["status"]["status_list"]
    assert entry.keys() == {"idx", "uri"}
    assert entry["uri"].startswith(ORIGIN)
    return entry["uri"].removeprefix(ORIGIN), entry["idx"]


def fetched(story, path, **headers):
    """The list at a path: its claims."""
    response = story.wire.get(path, **headers)
    assert response.status_code == 200, (response.status_code, response.content[:500])
    body = response.content
    if response.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return claims_of(body.decode())


def status(story, token):
    """0 or 1."""
    path, index = reference(token)
    return StatusList.parse(fetched(story, path)["status_list"])[index]
