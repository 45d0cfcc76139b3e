"""A client app, as its developer would write it: it knows the issuer and its own credentials."""

import base64
import json
from typing import Any

import requests

from delegation_app.client import (
    Attempt,
    Client,
    Credentials,
    Request,
    Response,
    Tokens,
    session,
)
from example_project.demo.browser import TIMEOUT
from example_project.demo.steps import StepFailed
from example_project.demo.transcript import Transcript


class App:
    """A client of one authorization server.

    Args:
        issuer: the authorization server.
        known: the client's entry of `seed_demo --json`.
        transcript: records every exchange.

    Attributes:
        client: calls the authorization server.
    """

    def __init__(self, issuer: str, known: dict[str, Any], transcript: Transcript) -> None:
        self._redirect_uris = known["redirect_uris"]
        self._transcript = transcript
        self._session = session(total_seconds=TIMEOUT)
        credentials = Credentials(known["client_id"], known["client_secret"])
        self.client = Client(issuer, credentials, transport=self)

    def send(self, request: Request) -> Response:
        """Send a request of the library; see `delegation_app.client.Transport`."""
        answer = self._send(request)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, answer.content)

    def begin(self, scope: str) -> Attempt:
        """Start an authorization; the user is prompted even if they consented before."""
        return self.client.begin(self._redirect_uris[0], scope=scope, extra={"prompt": "consent"})

    def exchange(self, token: str, audience: str, scope: str) -> Tokens:
        """Exchange a token that this client received (RFC 8693)."""
        return self.client.exchange(token, audience=audience, scope=scope)

    def post(self, endpoint: str, **fields: str) -> requests.Response:
        """Post an authenticated form for which the library has no method.

        Args:
            endpoint: its name in the metadata.
            fields: the form.
        """
        address = self.client.metadata().endpoint(endpoint)
        return self._send(self.client.credentials.request(address, fields))

    def use(self, token: str, method: str, address: str, **body: str) -> requests.Response:
        """Call an API with an access token (RFC 6750 section 2.1), and record the exchange."""
        answer = self.call(token, method, address, **body)
        self._transcript.exchange(answer)
        return answer

    def call(self, token: str, method: str, address: str, **body: str) -> requests.Response:
        """Call an API with an access token; the caller may record the exchange."""
        headers = {"Authorization": f"Bearer {token}"}
        return self._session.request(method, address, headers=headers, json=body or None)

    def _send(self, request: Request) -> requests.Response:
        answer = self._session.request(
            request.method, request.url, headers=dict(request.headers), data=request.body
        )
        self._transcript.exchange(answer)
        return answer


def members(answer: requests.Response) -> dict[str, Any]:
    """Return the JSON object of a successful answer.

    Raises:
        StepFailed: the answer is an error.
    """
    if not answer.ok:
        got = f"{answer.status_code}: {answer.text[:200]}"
        raise StepFailed("the answer", expected="success", got=got)
    return dict(answer.json())


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a token, to show them. Only a resource server has to verify it."""
    payload = token.split(".")[1]
    padded = payload + "=" * (-len(payload) % 4)
    return dict(json.loads(base64.urlsafe_b64decode(padded)))
