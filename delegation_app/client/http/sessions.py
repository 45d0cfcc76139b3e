"""Sessions of `requests` that the environment and the other side have no say in."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Final

import requests
from requests.auth import AuthBase

from delegation_app.client.http.deadline import DeadlineAdapter
from delegation_app.client.http.fork_safety import renew_after_fork

API_SECONDS: Final = 30.0


class BoundedSession(requests.Session):
    """A session without redirects, cookies, proxies of the environment and a user's `.netrc`.

    A redirect is an answer like any other: followed, it would carry a token or a secret to
    wherever it leads. Safe to share between threads, and a child process opens connections of its
    own. A verified certificate is required; `verify` may name another bundle of authorities.

    Args:
        total_seconds: how long one request may take in all, until the last byte is read.
    """

    def __init__(self, total_seconds: float) -> None:
        super().__init__()
        self._total_seconds = total_seconds
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Start with no connection; those of a parent process stay that process's."""
        for scheme in ("https://", "http://"):
            self.mount(scheme, DeadlineAdapter(self._total_seconds))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Tell that an answer leads nowhere, also where a caller allows redirects.

        Even one that is not followed would have its body read whole, however long that is.
        """


def session(
    auth: AuthBase | None = None, *, total_seconds: float = API_SECONDS
) -> requests.Session:
    """Return a session for calls of an API.

    Args:
        auth: such as `AsService` or `OnBehalfOf`.
        total_seconds: how long one call may take in all.
    """
    made = BoundedSession(total_seconds)
    made.auth = auth
    return made
