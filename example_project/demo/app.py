"""A client app, as its developer would write it: it knows the issuer and its own credentials."""

import base64
import io
import json
from http import HTTPStatus
from typing import Any

import requests

from delegation_app.client import (
    Attempt,
    Client,
    Credentials,
    HttpTransport,
    Request,
    Response,
    Tokens,
    session,
)
from example_project.demo.browser import TIMEOUT
from example_project.demo.expectations import NotAsTold
from example_project.demo.transcript import Transcript


class Told:
    """A transport that writes down what it sends and what is answered.

    Args:
        transcript: where to.
    """

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._http = HttpTransport(total_seconds=TIMEOUT)

    def send(self, request: Request) -> Response:
        """Send a request; see `delegation_app.client.Transport`."""
        response = self._http.send(request)
        self._transcript.exchange(as_answer(request, response))
        return response


class App:
    """A client at one authorization server.

    Args:
        issuer: the authorization server.
        known: the client's own entry of `seed_demo --json`.
        transcript: where every exchange is written down.

    Attributes:
        client: what asks the authorization server.
    """

    def __init__(self, issuer: str, known: dict[str, Any], transcript: Transcript) -> None:
        self._known = known
        self._transcript = transcript
        self._transport = Told(transcript)
        self._session = session(total_seconds=TIMEOUT)
        own = Credentials(known["client_id"], known["client_secret"])
        self.client = Client(issuer, own, transport=self._transport)

    def begin(self, scope: str) -> Attempt:
        """Return the attempt whose address a person is to be sent to."""
        # Somebody who has seen the story before is asked again.
        redirect_uri = self._known["redirect_uris"][0]
        return self.client.begin(redirect_uri, scope=scope, extra={"prompt": "consent"})

    def exchange(self, token: str, audience: str, scope: str) -> Tokens:
        """Exchange a token that this client was sent (RFC 8693)."""
        return self.client.exchange(token, audience=audience, scope=scope)

    def post(self, endpoint: str, **fields: str) -> requests.Response:
        """Send a form for which the library has no method, and say who this is.

        Args:
            endpoint: its name in the metadata.
            fields: those of the form.
        """
        address = self.client.metadata().endpoint(endpoint)
        request = self.client.credentials.request(address, fields)
        return as_answer(request, self._transport.send(request))

    def use(self, token: str, method: str, address: str, **body: str) -> requests.Response:
        """Call an API with an access token (RFC 6750 section 2.1)."""
        answer = self.ask(token, method, address, **body)
        self._transcript.exchange(answer)
        return answer

    def ask(self, token: str, method: str, address: str, **body: str) -> requests.Response:
        """Do the same, and leave it to the caller what is told of it."""
        headers = {"Authorization": f"Bearer {token}"}
        return self._session.request(method, address, headers=headers, json=body or None)


def as_answer(request: Request, response: Response) -> requests.Response:
    """Return an exchange of the library in the form in which the story is told."""
    answer = requests.Response()
    answer.request = requests.Request(
        request.method, request.url, headers=dict(request.headers), data=request.body
    ).prepare()
    answer.url = request.url
    answer.status_code = response.status
    answer.reason = HTTPStatus(response.status).phrase
    answer.headers.update(response.headers)
    answer.raw = io.BytesIO(response.body)
    return answer


def members(answer: requests.Response) -> dict[str, Any]:
    """Return the JSON object of a good answer.

    Raises:
        NotAsTold: the answer is an error.
    """
    if not answer.ok:
        got = f"{answer.status_code}: {answer.text[:200]}"
        raise NotAsTold("the answer", expected="success", got=got)
    return dict(answer.json())


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token says, to show it. Only a resource server has to verify it."""
    payload = token.split(".")[1]
    padded = payload + "=" * (-len(payload) % 4)
    return dict(json.loads(base64.urlsafe_b64decode(padded)))
