"""What of a client does not work as it is set up, and what to do about it, for operators."""

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
from delegation_app.services.clients.lookup import RegisteredClient, SetupProblem
from delegation_app.toolkit import Application

_BLAMES: Final[dict[Problem, Promise]] = {
    Problem.MALFORMED: gettext_lazy("It is not a URI."),
    Problem.CHARACTERS: gettext_lazy(
        "Browsers rewrite a character in it, so it would never match. Percent-encode it."
    ),
    Problem.FRAGMENT: gettext_lazy("A redirect URI has no fragment. Remove the “#”."),
    Problem.SCHEME: gettext_lazy(
        "This site does not allow its scheme. Add it to "
        'OAUTH2_PROVIDER["ALLOWED_REDIRECT_URI_SCHEMES"], or use https.'
    ),
    Problem.NO_HOST: gettext_lazy("It has no host."),
    Problem.PLAIN_HTTP: gettext_lazy(
        "Plain http is only for this machine (127.0.0.1, [::1] or localhost), also on a private "
        "network. Use https."
    ),
    Problem.UNDOTTED_SCHEME: gettext_lazy(
        "The scheme of an app is a reversed domain name with a dot, such as com.example.app "
        "(RFC 8252 section 7.1)."
    ),
    Problem.RESPONSE_PARAMETER: gettext_lazy(
        "Its query has a parameter of an authorization response, such as code, state, iss or "
        "error. The client would take it for ours. Rename the parameter."
    ),
}

_LACKS: Final[dict[SetupProblem, Promise]] = {
    SetupProblem.POLICY: gettext_lazy(
        "It has no policy, and DEFAULT_AUDIENCE is no active resource server: every request for a "
        "token is refused. Give it a policy with an audience."
    ),
    SetupProblem.AUDIENCE: gettext_lazy(
        "Its policy has no active audience: every request for a token is refused. Add one."
    ),
    SetupProblem.DEFAULT: gettext_lazy(
        "Its policy has several audiences and no default: a request without the parameter "
        "“resource” is refused. Choose a default, or let the client name the resource server."
    ),
    SetupProblem.ACTIVE_DEFAULT: gettext_lazy(
        "Its default audience is inactive or not among its audiences: a request without the "
        "parameter “resource” is refused. Choose another default."
    ),
}


def of_client(client: RegisteredClient) -> list[str]:
    """Return a sentence for each thing that does not work, in the current language.

    Args:
        client: as `lookup.find` returns it. Two statements more for one that exchanges tokens.
    """
    return list(_found(client))


def of_redirect_uri(application: Application, uri: str) -> str | None:
    """Return why a redirect URI cannot be used, in the current language; None if it can."""
    problem = toolkit.redirect_uri_problem(application, uri)
    return None if problem is None else str(_BLAMES[problem])


def of_redirect_uris(application: Application) -> list[str]:
    """Return a sentence for each registered redirect URI that cannot be used."""
    judged = ((uri, of_redirect_uri(application, uri)) for uri in application.redirect_uris.split())
    words = _("The redirect URI %(uri)s is never accepted. %(why)s")
    return [words % {"uri": uri, "why": why} for uri, why in judged if why is not None]


def is_trusted_in_vain(application: Application) -> bool:
    """Return True for a public client that is marked to skip the question; see `is_trusted`."""
    return application.skip_authorization and not toolkit.is_trusted(application)


def _of_reach(client: RegisteredClient) -> Iterator[str]:
    if (lack := client.lack) is not None:
        yield str(_LACKS[lack])
    if client.servers and not client.known_scope(client.policy.scopes, Audience(client.servers)):
        yield _(
            "None of its scopes is known at its audiences: every request for a token is refused."
        )


def _is_given_no_token(client: RegisteredClient) -> bool:
    """Whether a client may exchange tokens, and none that it could get hold of is for it."""
    # What these bring is issued to the client itself
    own = (names.AUTHORIZATION_CODE, names.DEVICE_CODE)
    holds_own = any(map(client.may_use, own)) or client.policy.may_exchange_refresh_tokens
    if holds_own or not client.may_use(names.TOKEN_EXCHANGE):
        return False
    servers = ResourceServer.objects.filter(introspectors=client.application.pk, active=True)
    named = ClientPolicy.objects.filter(may_act=client.client_id)
    return not servers.exists() and not named.exists()


def _found(client: RegisteredClient) -> Iterator[str]:
    # One that gets no tokens, such as an operator's tool, needs no audience
    if client.policy.grants:
        yield from _of_reach(client)
    if client.may_use(names.AUTHORIZATION_CODE):
        yield from of_redirect_uris(client.application)
    if _is_given_no_token(client):
        yield _(
            "It may exchange tokens, but is not among the introspecting clients of any active "
            "resource server: a token that another client sent to its service is refused as “The "
            "subject token is not valid.” Add it on the page of that resource server."
        )
    if is_trusted_in_vain(client.application):
        yield _(
            "It is marked to skip the authorization, but it is a public client: anybody can claim "
            "to be it, so people are asked all the same."
        )
