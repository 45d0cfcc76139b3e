"""The JSON interfaces, as a script in a person's or an operator's browser calls them."""

import json

from tests.support.answers import DESCRIPTION, never_stored

MINE = "/connections/api/"
ALL_OF_MINE = f"{MINE}end"
THEIRS = "/delegations/api/"
MANY = f"{THEIRS}revoke"
JSON = "application/json"


def mine(row, deed=""):
    """The address of a person's connection."""
    return f"{MINE}{row.public_id}{deed and '/'}{deed}"


def theirs(row, deed=""):
    """The address of a delegation for operators."""
    return f"{THEIRS}{row.public_id}{deed and '/'}{deed}"


def got(client, address, /, status=200, **query):
    """GET, and return what was told."""
    answer = client.get(address, query)
    return _members(answer, status)


def did(client, address, /, status=200, **members):
    """POST a JSON object, and return what was told."""
    return _members(client.post(address, json.dumps(members), content_type=JSON), status)


def refused(answer, code, status=400):
    """Check a refusal down to its headers."""
    assert answer.status_code == status, (answer.status_code, answer.content[:500])
    members = _members(answer, status)
    assert set(members) == {"error", "error_description"}
    assert members["error"] == code, members
    assert DESCRIPTION.fullmatch(members["error_description"])
    assert ("WWW-Authenticate" in answer) == (status == 401)
    assert ("Allow" in answer) or status != 405
    assert ("Retry-After" in answer) == (status in {429, 503})


def _members(answer, status):
    assert answer.status_code == status, (answer.status_code, answer.content[:500])
    assert answer["Content-Type"] == JSON
    assert answer["X-Request-Id"]
    never_stored(answer)
    return answer.json()
