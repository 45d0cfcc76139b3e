"""The whole of the client against this project's own server, over a real connection."""

from urllib.parse import urlsplit

import pytest

from delegation_app.client import (
    AccessDeniedError,
    AsService,
    Attempt,
    Client,
    ClientCredentials,
    Credentials,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    InvalidTargetError,
    OnBehalfOf,
    UnauthorizedClientError,
    session,
)
from delegation_app.protocol import names
from delegation_app.protocol.scope import Scope
from tests.client.peers import header, peer, says
from tests.support.world import REDIRECT_URI, SERVICE_A, SERVICE_B, SERVICE_C, Story, claims_of

pytestmark = [pytest.mark.slow, pytest.mark.any_database, pytest.mark.compat]


@pytest.fixture
def issuer(live_server, settings):
    settings.DELEGATION = {**settings.DELEGATION, "ISSUER": live_server.url}
    return live_server.url


@pytest.fixture
def server(issuer, story):
    return Server(issuer, story)


class Server:
    """A server that runs, and the apps that know it."""

    def __init__(self, issuer, story: Story):
        self.issuer = issuer
        self.story = story
        story.browser.https = False

    def client(self, name, method=names.BASIC, secret=None):
        app = self.story.world.apps[name]
        return Client(self.issuer, Credentials(app.client_id, secret or app.secret, method))

    def person(self, attempt, decision="allow"):
        """Go where the attempt sends; return the URL that the person comes back to."""
        there = urlsplit(attempt.url)
        page = self.story.browser.get(f"{there.path}?{there.query}")
        if page.status_code == 200:
            page = self.story.answer(page, decision)
        assert page.status_code == 303, page.content
        return page["Location"]

    def tokens(self, web=None, **wanted):
        web = web or self.client("web")
        attempt = web.begin(REDIRECT_URI, **wanted)
        return web.redeem(attempt, self.person(attempt))


@pytest.mark.conformance("IS-04")
def test_story_when_a_person_says_yes(server):
    web = server.client("web", method=names.POST)
    attempt = web.begin(REDIRECT_URI, scope="read:metrics write:alerts", audience=SERVICE_A)
    kept = attempt.dump()
    back = server.person(attempt)

    tokens = web.redeem(Attempt.load(kept), back)
    assert tokens.scope == Scope(["read:metrics", "write:alerts"])
    assert claims_of(tokens.access_token)["aud"] == SERVICE_A
    assert 0 < tokens.expires_in <= 600

    narrow = web.refresh(tokens.refresh_token, scope="read:metrics")
    assert narrow.scope == Scope(["read:metrics"])
    assert narrow.refresh_token != tokens.refresh_token
    asking = server.client("service_a_client")
    assert asking.introspect(narrow.access_token)["active"] is True

    web.revoke(narrow.refresh_token, hint="refresh_token")
    assert asking.introspect(narrow.access_token) == {"active": False}
    with pytest.raises(InvalidGrantError):
        web.refresh(narrow.refresh_token)
    with pytest.raises(InvalidGrantError):
        web.redeem(attempt, back)


def test_story_when_a_person_says_no(server):
    web = server.client("web")
    attempt = web.begin(REDIRECT_URI, scope="read:metrics")
    with pytest.raises(AccessDeniedError):
        web.redeem(attempt, server.person(attempt, "deny"))


def test_story_when_the_client_is_public(server):
    mobile = server.client("mobile")
    attempt = mobile.begin("http://127.0.0.1:51004/callback", scope="read:metrics")
    tokens = mobile.redeem(attempt, server.person(attempt))
    assert mobile.refresh(tokens.refresh_token).access_token
    with pytest.raises(UnauthorizedClientError):
        mobile.exchange(tokens.access_token, audience=SERVICE_B)


def test_story_when_services_call_each_other(server):
    tokens = server.tokens(scope="read:metrics", audience=SERVICE_A)
    service_a, service_b = server.client("service_a_client"), server.client("service_b_client")
    with peer(says(b'{"b": 1}')) as b, peer(says(b'{"c": 1}')) as c:
        to_b = OnBehalfOf(service_a, tokens.access_token, audience=SERVICE_B, origins=[b.url])
        with session(to_b) as calls:
            assert [calls.get(b.url).json() for _ in range(2)] == [{"b": 1}] * 2
        onward = header(b.requests[0], "Authorization").removeprefix("Bearer ")
        to_c = OnBehalfOf(service_b, onward, audience=SERVICE_C, origins=[c.url])
        with session(to_c) as calls:
            assert calls.get(c.url).json() == {"c": 1}

    claims = claims_of(header(c.requests[0], "Authorization").removeprefix("Bearer "))
    assert claims["aud"] == SERVICE_C
    assert claims["sub"] == f"user:{server.story.world.alice.pk}"
    assert claims["act"]["client_id"] == "service-b"
    assert claims["act"]["act"]["client_id"] == "service-a"
    # The second request to B found what the first had exchanged
    assert header(b.requests[1], "Authorization") == header(b.requests[0], "Authorization")


def test_story_when_a_service_acts_for_itself(server):
    cron = server.client("cron")
    with peer(says()) as a:
        auth = AsService(cron, SERVICE_A, "read:metrics", origins=[a.url])
        with session(auth) as calls:
            calls.post(a.url, json={})
            calls.post(a.url, json={})

    sent = {header(request, "Authorization") for request in a.requests}
    assert len(sent) == 1
    claims = claims_of(sent.pop().removeprefix("Bearer "))
    assert (claims["sub"], claims["scope"]) == ("client:cron", "read:metrics")
    source = ClientCredentials(cron, audience=SERVICE_A, scope="read:metrics")
    assert claims_of(source.token().access_token)["jti"] == claims["jti"]


def test_story_when_the_server_refuses(server):
    cron, service_a = server.client("cron"), server.client("service_a_client")

    with pytest.raises(InvalidClientError):
        server.client("cron", secret="wrong").client_credentials()
    with pytest.raises(InvalidScopeError):
        cron.client_credentials(scope="delete:alerts")
    with pytest.raises(InvalidTargetError):
        cron.client_credentials(audience=SERVICE_B)
    with pytest.raises(UnauthorizedClientError):
        cron.exchange("whatever", audience=SERVICE_A)
    with pytest.raises(InvalidRequestError):
        service_a.exchange("whatever", audience=SERVICE_B)
    # RFC 7009 section 2.2: what is unknown is revoked already
    cron.revoke("whatever")
