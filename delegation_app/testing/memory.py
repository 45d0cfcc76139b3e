"""What an authorization server remembers from one test to the next."""

from __future__ import annotations

from delegation_app import clock
from delegation_app.services import caching, signing_keys
from delegation_app.services.clients import authentication
from delegation_app.services.status_lists import cache as status_lists
from delegation_app.services.tokens import lost_answers, usage


def forget() -> None:
    """Let the authorization server in this process begin anew, as after a restart.

    A test that is rolled back takes its keys and its tokens out of the tables, but not out of the
    memory of the process. The fixtures of `pytest_plugin` call this before each test; a `TestCase`
    calls it in `setUp`.

    Side effects: keys, status lists, verified secrets and lost answers of this process are
        forgotten. Rows, and the cache of the site, which counts failed attempts, stay.
    """
    for one in (
        signing_keys,
        status_lists,
        authentication,
        caching,
        usage,
        clock,
        lost_answers,
    ):
        one.forget()
