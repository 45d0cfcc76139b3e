"""The authorization code grant (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""

from __future__ import annotations

from delegation_app.grants import single_use
from delegation_app.grants.base import TokenRequest
from delegation_app.models import AuthorizationCode
from delegation_app.protocol import names, pkce
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.delegations.revocation import CODE_REPLAYED
from delegation_app.services.tokens import issuing, reissue
from delegation_app.services.tokens.issuing import Issued

TYPE = names.AUTHORIZATION_CODE
# RFC 6749 section 4.1.3 has no scope parameter; a client that sends it gets at most that scope
PARAMETERS = frozenset({"code", "code_verifier", "redirect_uri", "resource", "scope"})


def handle(request: TokenRequest) -> Issued:
    """Redeem a code; see `single_use.redeem`."""
    return single_use.redeem(CODE, request)


def _mismatch(code: AuthorizationCode, client: RegisteredClient, parameters: Parameters) -> str:
    # OAuth 2.1 section 7.5.2: a mismatch revokes nothing, or a thief of a code could do harm
    if code.delegation.delegate_id != client.application.pk:
        return "another client's"
    # RFC 7636 section 4.6. If the parameter is repeated, one of its values must match
    verifiers = parameters.all("code_verifier")
    if not any(pkce.proves(verifier, code.code_challenge) for verifier in verifiers):
        return "code_verifier"
    # OAuth 2.1 section 10.2: optional; RFC 6749 section 4.1.3: if sent, it must be equal
    redirect_uris = parameters.all("redirect_uri")
    if redirect_uris and code.redirect_uri not in redirect_uris:
        return "redirect_uri"
    return ""


def _find_retry(code: AuthorizationCode, _text: str, _client: RegisteredClient) -> str | None:
    # RFC 6749 section 4.1.2 denies every second use. Only where this server itself failed to answer
    # is it known that the first use gave nothing away.
    jti = reissue.token_of(code.digest)
    return jti if jti is not None and reissue.is_unused(code.delegation, jti) else None


def _issue(code: AuthorizationCode, request: TokenRequest) -> Issued:
    granted = single_use.granted(code, request)
    return issuing.issue_first(request.part_of(granted), granted, request.origin)


def _issue_again(code: AuthorizationCode, request: TokenRequest, _jti: str) -> Issued:
    granted = single_use.granted(code, request)
    return reissue.reissue(request.part_of(granted), granted, request.origin)


# RFC 6749 section 4.1.2: a second use revokes the tokens of the first
CODE = single_use.SingleUse(
    AuthorizationCode, "code", "code", CODE_REPLAYED, _mismatch, _find_retry, _issue, _issue_again
)
