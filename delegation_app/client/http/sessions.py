"""Sessions of `requests` that neither the environment nor a server can redirect."""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Final

import requests
from requests.auth import AuthBase

from delegation_app.client.http import fork_safety
from delegation_app.client.http.deadline import DeadlineAdapter

API_SECONDS: Final = 30.0


class BoundedSession(requests.Session):
    """A session without redirects, cookies, proxies of the environment and `.netrc`.

    Each closes a leak: a followed redirect would carry a token to another server, a cookie would
    link calls for different users, and a proxy or `.netrc` of the environment would see or replace
    the credentials. Safe to share between threads; a child process opens its own connections. A
    verified certificate is required; `verify` may name another bundle of authorities.

    Args:
        total_seconds: the time limit for one request, until the last byte is read.
    """

    def __init__(self, total_seconds: float) -> None:
        super().__init__()
        self._total_seconds = total_seconds
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.reset_after_fork()
        fork_safety.register(self)

    def reset_after_fork(self) -> None:
        """Start without connections: two processes on one connection would mix up responses."""
        for scheme in ("https://", "http://"):
            self.mount(scheme, DeadlineAdapter(self._total_seconds))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None for every response, even if a caller allows redirects.

        `requests` would read the whole body of a redirect that it does not follow.
        """


def session(
    auth: AuthBase | None = None, *, total_seconds: float = API_SECONDS
) -> requests.Session:
    """Return a session for API calls.

    Args:
        auth: such as `AsService` or `OnBehalfOf`.
        total_seconds: the time limit for one call.
    """
    bounded = BoundedSession(total_seconds)
    bounded.auth = auth
    return bounded
