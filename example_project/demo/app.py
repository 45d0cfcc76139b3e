"""A client app, as its developer would write it: it knows the issuer and its own credentials."""

import base64
import json
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import requests
from django.urls import reverse

from delegation_app.protocol import names, pkce
from example_project.demo.browser import TIMEOUT
from example_project.demo.expectations import NotAsTold, expect
from example_project.demo.transcript import Transcript
from example_project.outbound import new_session


@dataclass(slots=True)
class Attempt:
    """One try to get a person's consent: what the app must remember until they come back."""

    address: str
    state: str
    verifier: str


class App:
    """A client at one authorization server.

    Args:
        issuer: the authorization server.
        known: the client's own entry of `seed_demo --json`.
        transcript: where every exchange is written down.

    Attributes:
        metadata: where the endpoints are; see `discover`.
    """

    def __init__(self, issuer: str, known: dict[str, Any], transcript: Transcript) -> None:
        self._issuer = issuer
        self._known = known
        self._transcript = transcript
        self._session = new_session()
        self.metadata: dict[str, Any] = {}

    def discover(self) -> dict[str, Any]:
        """Read where the endpoints are (RFC 8414)."""
        answer = self.call("GET", f"{self._issuer}/.well-known/oauth-authorization-server")
        self.metadata = members(answer)
        # RFC 8414 section 3.3: a document that names another issuer is not to be used
        expect("the issuer in the metadata", self.metadata.get("issuer"), self._issuer)
        return self.metadata

    def ask_for(self, scope: str) -> Attempt:
        """Return the address to send a person to, with fresh secrets for this try."""
        attempt = Attempt("", secrets.token_urlsafe(24), secrets.token_urlsafe(48))
        query = {
            "response_type": "code",
            "client_id": self._known["client_id"],
            "redirect_uri": self._known["redirect_uris"][0],
            "scope": scope,
            "state": attempt.state,
            "code_challenge": pkce.challenge_for(attempt.verifier),
            "code_challenge_method": pkce.METHOD,
            # Somebody who has seen the story before is asked again.
            "prompt": "consent",
        }
        attempt.address = f"{self.metadata['authorization_endpoint']}?{urlencode(query)}"
        return attempt

    def read_redirect(self, attempt: Attempt, location: str) -> str:
        """Return the code that a person brings back.

        Raises:
            NotAsTold: they come with something else, or from somewhere else.
        """
        expect("where the code went", location.partition("?")[0], self._known["redirect_uris"][0])
        brought = dict(parse_qsl(urlsplit(location).query))
        # RFC 9700 section 2.1: it is the answer to this very question
        expect("the state", brought.get("state"), attempt.state)
        # RFC 9207 section 2.4: and it comes from this very server
        expect("the issuer", brought.get("iss"), self._issuer)
        if "code" not in brought:
            raise NotAsTold("the redirect", expected="a code", got=brought.get("error", "none"))
        return brought["code"]

    def token(self, **fields: str) -> requests.Response:
        """Ask the token endpoint."""
        return self.post(self.metadata["token_endpoint"], **fields)

    def exchange(self, token: str, **fields: str) -> requests.Response:
        """Exchange a token that this client was sent (RFC 8693)."""
        address = urljoin(self._issuer, reverse("delegation_app:exchange"))
        kinds = {"grant_type": names.TOKEN_EXCHANGE, "subject_token_type": names.ACCESS_TOKEN}
        return self.post(address, **kinds, subject_token=token, **fields)

    def introspect(self, token: str) -> dict[str, Any]:
        """Ask what a token is worth (RFC 7662)."""
        return members(self.post(self.metadata["introspection_endpoint"], token=token))

    def post(self, address: str, **fields: str) -> requests.Response:
        """Send a form to an endpoint, and say who this is."""
        client_id, secret = self._known["client_id"], self._known["client_secret"]
        # RFC 6749 section 2.3: a public client can only say its name
        if secret is None:
            return self.call("POST", address, data={"client_id": client_id, **fields})
        return self.call("POST", address, data=fields, auth=(client_id, secret))

    def use(self, token: str, method: str, address: str, **body: str) -> requests.Response:
        """Call an API with an access token (RFC 6750 section 2.1)."""
        headers = {"Authorization": f"Bearer {token}"}
        return self.call(method, self._issuer + address, headers=headers, json=body or None)

    def call(self, method: str, address: str, **arguments: Any) -> requests.Response:
        """Send one request."""
        answer = self._session.request(
            method, address, timeout=TIMEOUT, allow_redirects=False, **arguments
        )
        self._transcript.exchange(answer)
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
