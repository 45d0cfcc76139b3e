"""The authorization endpoint's decisions, in the order in which they must be made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from delegation_app import toolkit
from delegation_app.conf import conf
from delegation_app.protocol import names, pkce
from delegation_app.protocol.errors import (
    InvalidRequest,
    OAuthError,
    RedirectTarget,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from delegation_app.protocol.requests.authorization_request import AuthorizationRequest
from delegation_app.protocol.requests.parameters import MEANINGFUL, Parameters
from delegation_app.services.clients.lookup import RegisteredClient, find
from delegation_app.services.delegations import enforcement

_SUPPORTED: Final = frozenset(
    {
        "response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "resource",
        "code_challenge", "code_challenge_method", "prompt", "max_age", "constraints",
    }
)  # fmt: skip
PARAMETERS: Final = _SUPPORTED | MEANINGFUL

_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_LONGEST_STATE: Final = 2048
# About 68 years; a larger number is nonsense, not patience.
_LARGEST_MAX_AGE: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Proven:
    """A client and one of its own redirect URIs: from here on errors may be redirected."""

    client: RegisteredClient
    target: RedirectTarget


@dataclass(frozen=True, slots=True)
class Interaction:
    """What the request wants of the person (OpenID Connect Core 3.1.2.1)."""

    prompts: frozenset[str]
    max_age: int | None

    def wants_sign_in(self, auth_time: datetime, now: datetime) -> bool:
        """Tell whether the person has to sign in again."""
        if self.max_age is not None and (now - auth_time).total_seconds() > self.max_age:
            return True
        return bool(self.prompts & {"login", "select_account"})


def prove(parameters: Parameters) -> Proven:
    """Prove the client and the redirect URI.

    Raises:
        InvalidRequest: one of them is missing, repeated, unknown or not registered. It is
            never redirected (RFC 6749 section 4.1.2.1).
    """
    client = _client(parameters.require("client_id"))
    uri = _redirect_uri(client, parameters.get("redirect_uri"))
    states = parameters.all("state")
    # A repeated state is refused below; the error carries none of them.
    return Proven(client, RedirectTarget(uri, states[0] if len(states) == 1 else None, conf.issuer))


def prove_again(asked: AuthorizationRequest) -> RegisteredClient:
    """Prove both again for a page that is answered: they may have changed since it was shown.

    Raises:
        InvalidRequest: as `prove`.
    """
    client = _client(asked.client_id)
    _redirect_uri(client, asked.target.uri)
    return client


def check(parameters: Parameters, proven: Proven) -> tuple[AuthorizationRequest, Interaction]:
    """Check everything else.

    Raises:
        OAuthError: one that may be redirected to the proven target.
    """
    try:
        return _request(parameters, proven), _interaction(parameters)
    except OAuthError as error:
        raise error.redirected_to(proven.target) from error


def _client(client_id: str) -> RegisteredClient:
    client = find(client_id)
    if client is None or not client.policy.enabled:
        raise InvalidRequest("The client is unknown.")
    return client


def _redirect_uri(client: RegisteredClient, requested: str | None) -> str:
    if requested is None:
        registered = toolkit.registered_redirect_uris(client.application)
        # RFC 6749 section 3.1.2.3: required, unless exactly one is registered
        if len(registered) != 1:
            raise InvalidRequest("The parameter redirect_uri is missing.")
        return registered[0]
    if not toolkit.redirect_uri_matches(client.application, requested):
        raise InvalidRequest("The redirect_uri is not registered for this client.")
    return requested


def _request(parameters: Parameters, proven: Proven) -> AuthorizationRequest:
    parameters.refuse_repeats()
    _refuse_unsupported(parameters)
    # RFC 9700 section 2.1.2: no token ever comes from this endpoint
    if parameters.require("response_type") != "code":
        raise UnsupportedResponseType("The only response_type is code.")
    client = proven.client
    if not client.may_use(names.AUTHORIZATION_CODE):
        raise UnauthorizedClient("This client may not use the authorization code grant.")
    if len(parameters.get("state") or "") > _LONGEST_STATE:
        raise InvalidRequest(f"The state is longer than {_LONGEST_STATE} characters.")
    challenge = pkce.check_challenge(
        parameters.get("code_challenge"), parameters.get("code_challenge_method")
    )
    audience = client.audience(parameters.all("resource"))
    scope = client.scope(parameters.get("scope"), audience)
    constraints = enforcement.of_request(client, parameters.get("constraints"), audience)
    return AuthorizationRequest(
        client.client_id, proven.target, scope, audience, challenge, constraints
    )


def _refuse_unsupported(parameters: Parameters) -> None:
    # RFC 9101 section 7: these would replace the other parameters, so they can't be ignored
    if "request" in parameters:
        raise RequestNotSupported("Request objects are not supported.")
    if "request_uri" in parameters:
        raise RequestUriNotSupported("Request URIs are not supported.")
    parameters.refuse_unsupported(_SUPPORTED)
    if parameters.get("response_mode") not in {None, "query"}:
        raise InvalidRequest("The only response_mode is query.")


def _interaction(parameters: Parameters) -> Interaction:
    prompts = frozenset((parameters.get("prompt") or "").split())
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise InvalidRequest("The prompt is not supported.")
    max_age = parameters.get("max_age")
    if max_age is None:
        return Interaction(prompts, None)
    # isdecimal alone would also take digits of other scripts; int refuses thousands of digits
    digits = max_age if max_age.isascii() and max_age.isdecimal() else ""
    if not 0 < len(digits) <= len(str(_LARGEST_MAX_AGE)) or int(digits) > _LARGEST_MAX_AGE:
        raise InvalidRequest("The max_age must be a whole number of seconds.")
    return Interaction(prompts, int(digits))
