"""A service on FastAPI that verifies tokens offline. Neither Django nor a database is needed.

In a checkout, after `pip install . fastapi uvicorn`, with the ISSUER (https://auth.example.com) and
the AUDIENCE (https://service-a.example.com) in the environment, in this directory:
`uvicorn fastapi_service:app`
"""

import os
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from delegation_app.protocol.errors import InvalidToken, OAuthError, OutsideLimits
from delegation_app.protocol.requests import bearer
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.verified_token import Call, VerifiedToken
from delegation_app.resource_server.challenge import Challenge
from delegation_app.resource_server.verifiers.offline import OfflineVerifier

AUDIENCE = os.environ["AUDIENCE"]

# One for the whole process: it keeps keys, status lists and verified tokens, and is thread-safe.
verifier = OfflineVerifier(os.environ["ISSUER"], AUDIENCE)
challenge = Challenge(realm=AUDIENCE)
app = FastAPI()


class NoToken(Exception):
    """The request has no token: it is asked for one, and did nothing wrong."""


def requires(*scopes: str) -> Callable[[Request], VerifiedToken]:
    """Let in who has a token with all of `scopes`."""
    needed = Scope(scopes)

    # `def`, not `async def`: FastAPI runs it in a thread, since the first token of all, and the
    # first one of a status list, wait for the network.
    def verified(request: Request) -> VerifiedToken:
        request.state.needed = needed
        text = bearer.token_in(request.headers.get("Authorization", ""))
        if text is None:
            raise NoToken
        # What constraints on addresses, methods and paths are judged by
        peer = None if request.client is None else request.client.host
        token = verifier.verify(text, Call(peer, request.method, request.scope["path"]))
        if not token.allows(needed):
            raise OutsideLimits("The scope of the token does not cover this request.")
        return token

    return verified


@app.exception_handler(NoToken)
def ask_for_a_token(request: Request, _error: NoToken) -> JSONResponse:
    """Answer 401 without an error code (RFC 6750 section 3.1)."""
    header = challenge.header(scope=request.state.needed)
    return JSONResponse({"detail": "A token is needed."}, 401, {"WWW-Authenticate": header})


@app.exception_handler(OAuthError)
def refuse(request: Request, error: OAuthError) -> JSONResponse:
    """Return the status of the error: 400, 401, 403, or 503 if the validity is unknown."""
    headers = {"Cache-Control": "no-store"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    else:
        helps = isinstance(error, InvalidToken | OutsideLimits)
        headers["WWW-Authenticate"] = challenge.header(
            scope=request.state.needed if helps else Scope(),
            error=error.code,
            description=error.description,
        )
    return JSONResponse(error.payload(), error.status, headers)


@app.get("/metrics")
def metrics(token: Annotated[VerifiedToken, Depends(requires("read:metrics"))]) -> dict[str, Any]:
    """Return who acts for whom."""
    return {"subject": token.subject, "actor": token.actor, "delegation": token.delegation_id}
