"""The rules of an authorization request, in the order in which they are applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from delegation_app import toolkit
from delegation_app.conf import conf
from delegation_app.protocol import names, pkce
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.errors import (
    InvalidRequest,
    LoginRequired,
    OAuthError,
    RedirectTarget,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from delegation_app.protocol.requests.parameters import MEANINGFUL, Parameters
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import new_secret
from delegation_app.services.clients.lookup import find
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.consent import history
from delegation_app.services.consent.request import ConsentRequest
from delegation_app.services.delegations import enforcement
from delegation_app.services.delegations.terms import SignIn

_SUPPORTED: Final = frozenset(
    {
        "response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "resource",
        "code_challenge", "code_challenge_method", "prompt", "max_age", "constraints",
    }
)  # fmt: skip
PARAMETERS: Final = _SUPPORTED | MEANINGFUL

_REQUEST_OBJECTS: Final = {
    "request": RequestNotSupported,
    "request_uri": RequestUriNotSupported,
}
_PROMPTS: Final = frozenset({"none", "login", "consent", "select_account"})
_MAX_STATE: Final = 2048
# About 68 years; a larger number is nonsense.
_MAX_MAX_AGE: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ValidatedClient:
    """A client with one of its redirect URIs: from here on, errors may be redirected."""

    client: RegisteredClient
    target: RedirectTarget


def validate_client_and_redirect(parameters: Parameters) -> ValidatedClient:
    """Validate the client and the redirect URI.

    Raises:
        InvalidRequest: one of them is missing, repeated, unknown or not registered. It is
            never redirected (RFC 6749 section 4.1.2.1).
    """
    client = _client(parameters.require("client_id"))
    uri = _redirect_uri(client, parameters.get("redirect_uri"))
    states = parameters.all("state")
    # A repeated state is refused below; the error carries none of them.
    state = states[0] if len(states) == 1 else None
    return ValidatedClient(client, RedirectTarget(uri, state, conf.issuer))


def consent_request(
    parameters: Parameters, validated: ValidatedClient, sign_in: SignIn | None
) -> ConsentRequest:
    """Validate the other parameters, and return the request to the user.

    Args:
        parameters: the parameters of the authorization request.
        validated: its client and redirect URI.
        sign_in: the user; None before the sign-in.

    Raises:
        OAuthError: one that may be redirected to the target; `LoginRequired` without a user.
    """
    try:
        return _request(parameters, validated, sign_in)
    except OAuthError as error:
        raise error.redirected_to(validated.target) from error


def restore(shown: Mapping[str, Any], handle: str, sign_in: SignIn) -> ConsentRequest:
    """Return the request of the answered screen, with the grants that the screen showed.

    The client and the redirect URI may have changed since. Marks on the screen may be out of date,
    but scopes without a checkbox must still be granted.

    Args:
        shown: the result of `ConsentRequest.to_json`.
        handle: the handle under which it is stored.
        sign_in: the user.

    Raises:
        InvalidRequest: as `validate_client_and_redirect`.
    """
    client, target = _client(shown["client_id"]), RedirectTarget(**shown["target"])
    _redirect_uri(client, target.uri)
    request = ConsentRequest(
        client=client,
        sign_in=sign_in,
        scope=Scope(shown["scope"]),
        audience=Audience(shown["audience"]),
        constraints=Constraints.parse(shown["constraints"]),
        grant_type=names.AUTHORIZATION_CODE,
        handle=handle,
        target=target,
        code_challenge=shown["code_challenge"],
        prompts=frozenset(shown["prompts"]),
        previously_granted=Scope(shown["previously_granted"]),
    )
    before = Scope(shown["already_granted"])
    still = before & history.look_up(request).granted if before else before
    return replace(request, already_granted=still)


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


def _request(
    parameters: Parameters, validated: ValidatedClient, sign_in: SignIn | None
) -> ConsentRequest:
    _refuse_unsupported(parameters)
    client = validated.client
    if not client.may_use(names.AUTHORIZATION_CODE):
        raise UnauthorizedClient("This client may not use the authorization code grant.")
    if len(parameters.get("state") or "") > _MAX_STATE:
        raise InvalidRequest(f"The state is longer than {_MAX_STATE} characters.")
    challenge = pkce.check_challenge(
        parameters.get("code_challenge"), parameters.get("code_challenge_method")
    )
    audience = client.audience(parameters.all("resource"))
    scope = client.scope(parameters.get("scope"), audience)
    constraints = enforcement.of_request(client, parameters.get("constraints"), audience)
    prompts, max_age = _prompts(parameters), _max_age(parameters.get("max_age"))
    if sign_in is None:
        raise LoginRequired("The user must sign in.")
    return ConsentRequest(
        client=client,
        sign_in=sign_in,
        scope=scope,
        audience=audience,
        constraints=constraints,
        grant_type=names.AUTHORIZATION_CODE,
        handle=new_secret(),
        target=validated.target,
        code_challenge=challenge,
        prompts=prompts,
        max_age=max_age,
    )


def _refuse_unsupported(parameters: Parameters) -> None:
    parameters.refuse_repeats()
    # RFC 9101 section 7: these would replace the other parameters, so they cannot be ignored
    for name, refusal in _REQUEST_OBJECTS.items():
        if name in parameters:
            raise refusal("Request objects are not supported.")
    parameters.refuse_unsupported(_SUPPORTED)
    if parameters.get("response_mode") not in {None, "query"}:
        raise InvalidRequest("The only response_mode is query.")
    # RFC 9700 section 2.1.2: no token ever comes from this endpoint
    if parameters.require("response_type") != "code":
        raise UnsupportedResponseType("The only response_type is code.")


def _prompts(parameters: Parameters) -> frozenset[str]:
    prompts = frozenset((parameters.get("prompt") or "").split())
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise InvalidRequest("The prompt is not supported.")
    return prompts


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    # isdecimal alone would also take digits of other scripts; int refuses thousands of digits
    digits = text if text.isascii() and text.isdecimal() else ""
    if not 0 < len(digits) <= len(str(_MAX_MAX_AGE)) or int(digits) > _MAX_MAX_AGE:
        raise InvalidRequest("The max_age must be a whole number of seconds.")
    return int(digits)
