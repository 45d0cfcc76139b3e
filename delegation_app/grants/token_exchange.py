"""The token exchange grant (RFC 8693): a token is exchanged for one of a child delegation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import TOKEN_EXCHANGED, TOKEN_IMPERSONATED
from delegation_app.grants.base import TokenRequest
from delegation_app.models import AccessToken, Delegation, ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.claims import client_identity, client_subject
from delegation_app.protocol.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
)
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import new_secret
from delegation_app.services.clients.registered_client import RegisteredClient, known_spelling
from delegation_app.services.delegations import creation, enforcement
from delegation_app.services.delegations.terms import ChildTerms
from delegation_app.services.tokens import issuing, lookup
from delegation_app.services.tokens.issuing import Issued, IssueOptions, TokenParameters
from delegation_app.services.tokens.lookup import PresentedAccessToken, PresentedRefreshToken
from delegation_app.services.transactions import durable

TYPE = names.TOKEN_EXCHANGE
PARAMETERS = frozenset(
    {
        "subject_token", "subject_token_type", "actor_token", "actor_token_type",
        "requested_token_type", "audience", "resource", "scope", "constraints",
    }
)  # fmt: skip

_ACCESS: Final = frozenset({names.ACCESS_TOKEN, names.JWT})


@dataclass(frozen=True, slots=True)
class Subject:
    """The authority to delegate onward, as far as the presented token carries it.

    Attributes:
        delegation: the delegation of the token.
        scope: what the token allows now.
        expires_at: the end of the token; None for a refresh token, whose delegation decides.
        may_act: the client id that `may_act` names; empty without one.
        jti: the token's id; empty for a refresh token.
        is_own: whether the token was issued to the presenting client.
    """

    delegation: Delegation
    scope: Scope
    expires_at: datetime | None
    may_act: str
    jti: str
    is_own: bool


@dataclass(frozen=True, slots=True)
class Actors:
    """The actors of the exchanged token.

    Attributes:
        chain: identities, the current actor first (RFC 8693 section 4.1).
        impersonated: whether the current actor is omitted.
    """

    chain: tuple[dict[str, str], ...]
    impersonated: bool = False


@dataclass(frozen=True, slots=True)
class _Exchange:
    """The terms of an exchange, and the delegations of its access tokens by token id."""

    subject: Subject
    actors: Actors
    terms: ChildTerms
    presented: dict[str, Delegation]


def handle(request: TokenRequest) -> Issued:
    """Delegate the authority behind a token onward, and issue a token for it.

    Raises:
        UnauthorizedClient: a public client.
        InvalidRequest: the subject or actor token is not valid or not for this client, or the
            authority may not be delegated onward (RFC 8693 section 2.2.2).
        InvalidTarget: a target is unknown or not available to the client.
        InvalidScope: more than the subject token or the client has, or nothing that every target
            knows.

    Side effects: those of `creation.delegate_onward`, one or two token rows and one audit event.
    """
    client, parameters = request.client, request.parameters
    # RFC 8693 section 5: a client that finds a token must not be able to exchange it
    if not client.is_confidential:
        raise UnauthorizedClient("Public clients may not exchange tokens.")
    _check_types(parameters)
    subject = _subject(request)
    try:
        judged = _judge(request, subject)
        return _issue(request, judged)
    except (InvalidRequest, InvalidTarget, InvalidScope) as error:
        # The audit trail names the requested authority. A child whose creation was refused was
        # rolled back, and its key may become another's.
        error.about = subject.delegation
        raise


def _check_types(parameters: Parameters) -> None:
    parameters.require("subject_token")
    declared = parameters.require("subject_token_type")
    _check_type(declared, _ACCESS | {names.REFRESH_TOKEN_TYPE})
    actor, actor_type = parameters.get("actor_token"), parameters.get("actor_token_type")
    # RFC 8693 section 2.1: the type is required with the token, and refused without it
    if (actor is None) != (actor_type is None):
        raise InvalidRequest("The parameters actor_token and actor_token_type go together.")
    _check_type(actor_type or names.ACCESS_TOKEN, _ACCESS)
    _check_type(_requested_type(parameters), _ACCESS)


def _check_type(declared: str, supported: frozenset[str]) -> None:
    # RFC 8693 section 2.2.2
    if declared not in supported:
        raise InvalidRequest("The token type is not supported.")


def _requested_type(parameters: Parameters) -> str:
    return parameters.get("requested_token_type") or names.ACCESS_TOKEN


# The subject and the actors


def _subject(request: TokenRequest) -> Subject:
    # Reads only: RFC 8693 section 2.1 leaves the presented tokens unchanged. No refusal says which
    # check failed, so a client learns nothing of others' tokens.
    client, text = request.client, request.parameters.require("subject_token")
    found = lookup.find(text)
    # RFC 8693 section 2.1: the token must be valid, and of its declared type
    if found is None or not _is_valid(found, request.parameters.require("subject_token_type")):
        # The audit trail names its delegation, even if it has expired
        known = found or lookup.find(text, allow_expired=True)
        about = None if known is None else known.row.delegation
        raise _bad_subject("unknown, not valid, or of another type", about)
    if isinstance(found, PresentedRefreshToken):
        return _refresh_token(found, client)
    row, is_own = found.row, _holds(client, found)
    # RFC 8693 section 5: a client that is neither the audience nor the holder would launder it
    if not (is_own or _stands_in_audience(client, found) or found.may_act == client.client_id):
        where = ", ".join(row.audience)
        detail = f"{client.client_id} is not among the introspecting clients of {where}"
        raise _bad_subject(detail, row.delegation)
    scope = found.scope_at(None)
    if not scope:
        raise _bad_subject("nothing of it is left", row.delegation)
    return Subject(row.delegation, scope, row.expires_at, found.may_act, row.jti, is_own)


def _refresh_token(found: PresentedRefreshToken, client: RegisteredClient) -> Subject:
    # Validated as in its own grant, but not consumed: only its own client may present it
    row, delegation = found.row, found.row.delegation
    if delegation.delegate_id != client.application.pk:
        raise _bad_subject("a refresh token of another client", delegation)
    if not client.policy.may_exchange_refresh_tokens:
        description = "This client may not exchange refresh tokens."
        raise InvalidRequest(description, detail="policy", about=delegation)
    audience = row.audience & delegation.audience & Audience(client.servers)
    scope = client.known_scope(row.scope & delegation.scopes, audience)
    if not scope:
        raise _bad_subject("nothing of it is left", delegation)
    return Subject(delegation, scope, None, client.policy.may_act, "", is_own=True)


def _actor_token(request: TokenRequest, subject: Subject) -> AccessToken | None:
    client, text = request.client, request.parameters.get("actor_token")
    if text is None:
        return None
    found = lookup.find(text)
    declared = request.parameters.require("actor_token_type")
    if not isinstance(found, PresentedAccessToken) or not _is_valid(found, declared):
        raise _bad_actor("unknown, not valid, or of another type", subject)
    delegation = found.row.delegation
    # It must represent its own holder. The token of a user or of another chain proves nothing about
    # the actor.
    actor = delegation.delegate_client_id
    if delegation.subject != client_subject(actor):
        raise _bad_actor(f"not about its own holder: {delegation.public_id}", subject)
    # Another client's token only if the subject token names that client, and only in its audience
    is_named = subject.may_act == actor and _stands_in_audience(client, found)
    if not _holds(client, found) and not is_named:
        raise _bad_actor(f"not this client's to present: {delegation.public_id}", subject)
    return found.row


def actors(token: AccessToken | None, subject: Subject, client: RegisteredClient) -> Actors:
    """Return the actors of the exchanged token.

    Args:
        token: the actor token; without one, the authenticated client is the actor.
        subject: the subject.
        client: the authenticated client.

    Raises:
        InvalidRequest: the actor may not act for this subject.
    """
    actor = client.client_id if token is None else token.delegation.delegate_client_id
    history = tuple(subject.delegation.actors)
    # A client does not become an actor by narrowing its own token
    if token is None and subject.is_own:
        return Actors(history)
    # RFC 8693 section 4.4: only the client that `may_act` names
    if subject.may_act not in {"", actor}:
        raise _bad_subject("may_act names another client", subject.delegation)
    # RFC 8693 section 1.1: without an actor, the token is the subject's own
    if token is None and client.policy.may_impersonate:
        return Actors(history, impersonated=True)
    identity = client_identity(actor)
    # RFC 8693 section 4.1: the outermost actor is the current one; nested ones never change
    return Actors(history if history[:1] == (identity,) else (identity, *history))


def _is_valid(found: lookup.Presented, declared: str) -> bool:
    if isinstance(found, PresentedRefreshToken):
        return found.active and declared == names.REFRESH_TOKEN_TYPE
    is_jwt = found.row.digest is None
    return found.active and declared in _ACCESS and (is_jwt or declared != names.JWT)


def _holds(client: RegisteredClient, found: PresentedAccessToken) -> bool:
    return found.row.delegation.delegate_id == client.application.pk


def _stands_in_audience(client: RegisteredClient, found: PresentedAccessToken) -> bool:
    own = ResourceServer.objects.filter(introspectors=client.application.pk, active=True)
    return bool(found.audience & Audience(own.values_list("identifier", flat=True)))


def _bad_subject(detail: str, about: Delegation | None = None) -> InvalidRequest:
    message = "The subject token is not valid."
    return InvalidRequest(message, detail=f"subject_token: {detail}", about=about)


def _bad_actor(detail: str, subject: Subject) -> InvalidRequest:
    message = "The actor token is not valid."
    return InvalidRequest(message, detail=f"actor_token: {detail}", about=subject.delegation)


# The terms of the child


def _judge(request: TokenRequest, subject: Subject) -> _Exchange:
    client, parameters, parent = request.client, request.parameters, subject.delegation
    token = _actor_token(request, subject)
    acting, expires_at = actors(token, subject, client), _ends(parent, client)
    audience = audience_of(client, parameters.all("audience"), parameters.all("resource"))
    # A client that wants a wider reach has to prompt the user again
    if subject.is_own and not audience <= parent.audience:
        raise InvalidTarget("A client cannot extend its own reach.")
    limits = (
        parent.constraints.for_child(),
        client.policy.constraints,
        enforcement.requested_constraints(client, parameters.get("constraints")),
    )
    enforcement.refuse_unreachable(audience, *limits)
    scope = scope_at(client, parameters.get("scope"), subject.scope, audience)
    if _requested_type(parameters) == names.JWT and client.wants_opaque(audience):
        raise InvalidRequest("Tokens for this audience are opaque.")
    terms = ChildTerms(
        parent=parent,
        client=client,
        scope=scope,
        audience=audience,
        grant_type=TYPE,
        constraints=limits[0].narrowed(limits[1]).narrowed(limits[2]),
        actors=acting.chain,
        expires_at=expires_at,
    )
    presented = {subject.jti: parent} if subject.jti else {}
    if token is not None:
        presented[token.jti] = token.delegation
    return _Exchange(subject, acting, terms, presented)


def audience_of(
    client: RegisteredClient, audiences: tuple[str, ...], resources: tuple[str, ...]
) -> Audience:
    """Return the resource servers that a client requests a token for.

    Args:
        client: the exchanging client, whose policy lists its resource servers.
        audiences: the values of `audience`, each the name or the identifier of a resource server.
        resources: the values of `resource`.

    Raises:
        InvalidTarget: one is malformed, unknown, inactive or not for this client; or none is named
            and the client has no default.
    """
    by_name = {server.name: server.identifier for server in client.servers.values()}
    named = [by_name.get(name) or known_spelling(name, client.servers) for name in audiences]
    # RFC 8693 section 2.2.2: unknown and unacceptable targets look the same
    client.refuse_unreachable(named, "An audience is unknown or not for this client.")
    # RFC 8693 section 2.1: both parameters name targets, and may be mixed
    return client.audience((*named, *resources))


def scope_at(
    client: RegisteredClient, requested: str | None, held: Scope, audience: Audience
) -> Scope:
    """Return the scope of an exchanged token.

    Args:
        client: the exchanging client.
        requested: the value of `scope`; None for everything usable at the targets.
        held: what the subject token allows now.
        audience: the targets.

    Raises:
        InvalidScope: it exceeds the subject token or the client, or nothing of it is usable at
            every target (RFC 8693 section 2.1.1).
    """
    available, limit = held & client.policy.scopes, "the subject token or the client has"
    scope = client.narrowed_scope(requested, available, audience, limit=limit)
    for identifier in audience:
        scope &= client.servers[identifier].scopes
    return client.effective_scope(scope, audience)


def _ends(parent: Delegation, client: RegisteredClient) -> datetime | None:
    # The end of the parent, unless the client's policy sets an earlier one
    seconds = client.policy.delegation_lifetime
    if seconds is None:
        return parent.expires_at
    ends = clock.now() + timedelta(seconds=seconds)
    return ends if parent.expires_at is None else min(ends, parent.expires_at)


# The child and its tokens


@durable
def _issue(request: TokenRequest, judged: _Exchange) -> Issued:
    client = request.client
    # After a cut, nothing is left to cut. Only a constraint of the site that narrows to another
    # result each time could loop for ever, under the lock of the root.
    for _round in range(conf.max_depth + 1):
        # Valid when read, but maybe not after the wait for the locks
        child = creation.delegate_onward(judged.terms, request.origin, judged.presented)
        if child is not None:
            break
        # The client may no longer be in the audience of what is left
        judged = _judge(request, _subject(request))
    else:
        raise InvalidRequest(
            "The subject token cannot be exchanged.",
            detail="its constraints are different each time they are narrowed",
        )
    subject, terms = judged.subject, judged.terms
    token = issuing.within(TokenParameters(child, client, terms.scope, terms.audience))
    # RFC 8693 section 2.2.1: a refresh token only where access outlives the subject token
    renewable = client.policy.may_refresh_exchanged_tokens and client.may_use(names.REFRESH_TOKEN)
    refresh_token = issuing.issue_refresh_token(token, new_secret()) if renewable else None
    options = IssueOptions(
        event=TOKEN_IMPERSONATED if judged.actors.impersonated else TOKEN_EXCHANGED,
        refusal=InvalidRequest,
        not_after=subject.expires_at,
        token_type=_requested_type(request.parameters),
        details={"subject_jti": subject.jti, "chain": child.chain, "actors": child.actors},
    )
    return issuing.issue(token, request.origin, options, refresh_token=refresh_token)
