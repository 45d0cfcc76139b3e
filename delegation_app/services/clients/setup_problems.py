"""Configuration problems of a client and their remedies, for operators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.requests.redirect_uri import Problem
from delegation_app.services.clients.registered_client import RegisteredClient, SetupProblem
from delegation_app.toolkit import Application

_BLAMES: Final[dict[Problem, Promise]] = {
    Problem.MALFORMED: gettext_lazy("Enter a URI."),
    Problem.CHARACTERS: gettext_lazy(
        "It has a character that browsers rewrite, so it never matches. Percent-encode it."
    ),
    Problem.FRAGMENT: gettext_lazy("A redirect URI must not have a fragment. Remove the “#”."),
    Problem.SCHEME: gettext_lazy(
        "This site does not allow the scheme. Add it to "
        'OAUTH2_PROVIDER["ALLOWED_REDIRECT_URI_SCHEMES"], or use https.'
    ),
    Problem.NO_HOST: gettext_lazy("Add the host."),
    Problem.PLAIN_HTTP: gettext_lazy(
        "Plain http is only allowed for this machine (127.0.0.1, [::1] or localhost). Use https."
    ),
    Problem.UNDOTTED_SCHEME: gettext_lazy(
        "The scheme of an app must be a reversed domain name with a dot, such as com.example.app "
        "(RFC 8252 section 7.1)."
    ),
    Problem.RESPONSE_PARAMETER: gettext_lazy(
        "Its query has a parameter of an authorization response, such as code, state, iss or "
        "error. Rename the parameter."
    ),
}

_LACKS: Final[dict[SetupProblem, Promise]] = {
    SetupProblem.POLICY: gettext_lazy(
        "The client has no policy, and DEFAULT_AUDIENCE is not an active resource server. All "
        "token requests are refused. Add a policy with an audience."
    ),
    SetupProblem.AUDIENCE: gettext_lazy(
        "The policy has no active audience, so all token requests are refused. Add an audience."
    ),
    SetupProblem.DEFAULT: gettext_lazy(
        "The policy has several audiences and no default. Requests without the parameter "
        "“resource” are refused. Select a default, or have the client send “resource”."
    ),
    SetupProblem.ACTIVE_DEFAULT: gettext_lazy(
        "The default audience is inactive or not among the audiences. Requests without the "
        "parameter “resource” are refused. Select another default."
    ),
}


def of_client(client: RegisteredClient) -> list[str]:
    """Return a sentence for each problem, in the current language.

    Args:
        client: as returned by `lookup.find`. Two statements for one that exchanges tokens.
    """
    return list(_found(client))


def of_redirect_uri(application: Application, uri: str) -> str | None:
    """Return why a redirect URI cannot be used, in the current language; None if it can."""
    problem = toolkit.redirect_uri_problem(application, uri)
    return None if problem is None else str(_BLAMES[problem])


def of_redirect_uris(application: Application) -> list[str]:
    """Return a sentence for each registered redirect URI that cannot be used."""
    judged = ((uri, of_redirect_uri(application, uri)) for uri in application.redirect_uris.split())
    words = _("The redirect URI %(uri)s is unusable. %(why)s")
    return [words % {"uri": uri, "why": why} for uri, why in judged if why is not None]


def is_trusted_in_vain(application: Application) -> bool:
    """Whether it is a public client marked as trusted, which has no effect; see `is_trusted`."""
    return application.skip_authorization and not toolkit.is_trusted(application)


def _of_reach(client: RegisteredClient) -> Iterator[str]:
    if (lack := client.lack) is not None:
        yield str(_LACKS[lack])
    if client.servers and not client.known_scope(client.policy.scopes, Audience(client.servers)):
        yield _(
            "None of its scopes is accepted by its audiences, so all token requests are refused."
        )


def _is_given_no_token(client: RegisteredClient) -> bool:
    # These grants issue tokens to the client itself
    own = (names.AUTHORIZATION_CODE, names.DEVICE_CODE)
    holds_own = any(map(client.may_use, own)) or client.policy.may_exchange_refresh_tokens
    if holds_own or not client.may_use(names.TOKEN_EXCHANGE):
        return False
    servers = ResourceServer.objects.filter(introspectors=client.application.pk, active=True)
    named = ClientPolicy.objects.filter(may_act=client.client_id)
    return not servers.exists() and not named.exists()


def _found(client: RegisteredClient) -> Iterator[str]:
    # A client without grants, such as an introspection tool, needs no audience
    if client.policy.grants:
        yield from _of_reach(client)
    if client.may_use(names.AUTHORIZATION_CODE):
        yield from of_redirect_uris(client.application)
    if _is_given_no_token(client):
        yield _(
            "The client may exchange tokens, but is not an introspecting client of an active "
            "resource server. Tokens of other clients are refused with “The subject token is not "
            "valid.” Add the client on the page of its resource server."
        )
    if is_trusted_in_vain(client.application):
        yield _(
            "The client is marked as trusted, but it is public. Other apps can impersonate it, so "
            "users are prompted."
        )
