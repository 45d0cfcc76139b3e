"""A small site with people, services and clients, and a browser and app to tell stories with."""

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

from django.contrib.auth import get_user_model

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, Delegation, ResourceServer
from delegation_app.protocol import names, pkce
from tests.support import SecureClient

FORM = "application/x-www-form-urlencoded"
SERVICE_A = "https://service-a.example.com"
SERVICE_B = "https://service-b.example.com"
SERVICE_C = "https://service-c.example.com"
# RFC 7636 appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
REDIRECT_URI = "https://web.example.com/callback"
PASSWORD = "correct horse battery staple"


@dataclass
class App:
    """A client, as its developer knows it: with its secret."""

    row: Any
    secret: str | None

    @property
    def client_id(self):
        return self.row.client_id

    @property
    def policy(self):
        return ClientPolicy.objects.get(application=self.row)

    def change(self, **values):
        """Change its policy."""
        ClientPolicy.objects.filter(application=self.row).update(**values)

    def basic(self):
        """The Authorization header of RFC 6749 section 2.3.1."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}".encode()
        return "Basic " + base64.b64encode(pair).decode()


@dataclass
class World:
    alice: Any
    bob: Any
    service_a: ResourceServer
    service_b: ResourceServer
    service_c: ResourceServer
    apps: dict[str, App] = field(default_factory=dict)

    def __getattr__(self, name):
        # A copy in the making has no apps yet
        try:
            return self.__dict__["apps"][name]
        except KeyError:
            raise AttributeError(name) from None


def make_app(
    name,
    *,
    grants,
    audiences,
    scopes="read:metrics write:alerts read:profile",
    redirect_uris="",
    public=False,
    speaks_for=None,
    **policy,
):
    """Register a client with a policy."""
    secret = None if public else f"secret-of-{name}-with-enough-entropy-2f6c1d"
    row = toolkit.application_model().objects.create(
        name=name.title(),
        client_id=name,
        client_secret=secret or "",
        client_type="public" if public else "confidential",
        authorization_grant_type="authorization-code" if redirect_uris else "client-credentials",
        redirect_uris=redirect_uris,
        skip_authorization=policy.pop("trusted", False),
    )
    made = ClientPolicy.objects.create(
        application=row, grants=list(grants), scopes=scopes, **policy
    )
    made.audiences.set(audiences)
    if speaks_for is not None:
        speaks_for.introspectors.add(row)
    return App(row, secret)


def build_world():
    """Make alice and bob, services A and B, and one client of every kind."""
    users = get_user_model().objects
    world = World(
        alice=users.create_user("alice", password=PASSWORD),
        bob=users.create_user("bob", password=PASSWORD),
        service_a=ResourceServer.objects.create(
            identifier=SERVICE_A,
            name="Service A",
            scopes="read:metrics write:alerts delete:alerts read:profile",
        ),
        service_b=ResourceServer.objects.create(
            identifier=SERVICE_B, name="Service B", scopes="read:metrics write:alerts"
        ),
        service_c=ResourceServer.objects.create(
            identifier=SERVICE_C, name="Service C", scopes="read:metrics write:alerts"
        ),
    )
    a, b, c = world.service_a, world.service_b, world.service_c
    code = (names.AUTHORIZATION_CODE, names.REFRESH_TOKEN)
    service = (names.CLIENT_CREDENTIALS, names.TOKEN_EXCHANGE)
    world.apps = {
        # Two audiences, A by default
        "web": make_app(
            "web", grants=code, audiences=[a, b], redirect_uris=REDIRECT_URI, default_audience=a
        ),
        # Another confidential client of the same site, at A only
        "other": make_app(
            "other", grants=code, audiences=[a], redirect_uris="https://other.example.com/callback"
        ),
        "mobile": make_app(
            "mobile",
            grants=code,
            audiences=[a],
            redirect_uris="http://127.0.0.1/callback com.example.mobile:/callback",
            public=True,
        ),
        "tv": make_app(
            "tv", grants=(names.DEVICE_CODE, names.REFRESH_TOKEN), audiences=[a], public=True
        ),
        "cron": make_app(
            "cron",
            grants=(names.CLIENT_CREDENTIALS,),
            audiences=[a],
            scopes="read:metrics write:alerts",
        ),
        # The clients of the services: each may hand on to the next one
        "service_a_client": make_app("service-a", grants=service, audiences=[b], speaks_for=a),
        "service_b_client": make_app(
            "service-b", grants=service, audiences=[a, c], default_audience=a, speaks_for=b
        ),
        "service_c_client": make_app("service-c", grants=service, audiences=[a], speaks_for=c),
        "operator_tool": make_app(
            "operator-tool", grants=(), audiences=[], may_introspect_all=True
        ),
    }
    return world


class Story:
    """A browser with a session, and the calls that apps make beside it."""

    def __init__(self, world, person=None):
        self.world = world
        self.browser = SecureClient()
        self.wire = SecureClient()
        if person is not None:
            self.browser.force_login(person)

    # The browser

    def authorize_parameters(self, app=None, **changes):
        """The parameters of a good request; a value of None leaves one out."""
        app = app or self.world.web
        parameters = {
            "response_type": "code", "client_id": app.client_id,
            "redirect_uri": app.row.redirect_uris.split()[0], "scope": "read:metrics write:alerts",
            "state": "af0ifjsldkj", "code_challenge": CHALLENGE, "code_challenge_method": "S256",
            **changes,
        }  # fmt: skip
        return {name: value for name, value in parameters.items() if value is not None}

    def authorize(self, app=None, **changes):
        """GET the authorization endpoint."""
        query = urlencode(self.authorize_parameters(app, **changes), doseq=True)
        return self.browser.get(f"/oauth/authorize?{query}")

    def authorize_raw(self, query):
        """GET the authorization endpoint with exactly this query string."""
        return self.browser.get("/oauth/authorize", QUERY_STRING=query)

    def answer(self, page, decision="allow", scopes=None, **changes):
        """POST the form of a consent page, as the person filled it in."""
        fields = filled_in(page, decision, scopes, **changes)
        body = urlencode({k: v for k, v in fields.items() if v is not None}, doseq=True)
        return self.browser.post("/oauth/authorize", body, content_type=FORM)

    def code(self, app=None, scopes=None, **changes):
        """Go through the pages, and return the code."""
        response = self.authorize(app, **changes)
        if response.status_code == 200:
            response = self.answer(response, scopes=scopes)
        return redirected(response)["code"]

    # The device and the page beside it

    def start(self, app=None, **changes):
        """What a device sends first."""
        data = {"scope": "read:metrics write:alerts", **changes}
        return self.post("/oauth/device_authorization", data, app or self.world.tv)

    def poll(self, device_code, app=None, **changes):
        """What a device sends until it has tokens."""
        data = {"grant_type": names.DEVICE_CODE, "device_code": device_code, **changes}
        return self.token(app or self.world.tv, **data)

    def device(self, fields, **headers):
        """POST a form of the device page."""
        body = urlencode({k: v for k, v in fields.items() if v is not None}, doseq=True)
        return self.browser.post("/oauth/device", body, content_type=FORM, **headers)

    def enter(self, user_code):
        """Type a code, and return the page that asks about it."""
        return self.device({"user_code": user_code})

    def connect(self, page, decision="allow", scopes=None, **changes):
        """POST the form of that page, as the person filled it in."""
        return self.device(filled_in(page, decision, scopes, **changes))

    def approved(self, app=None, scopes=None, **changes):
        """Start, type the code and allow it; return the device code."""
        started = self.start(app, **changes).json()
        done = self.connect(self.enter(started["user_code"]), scopes=scopes)
        assert done.status_code == 200, done.content
        return started["device_code"]

    # The apps

    def post(self, path, data, app=None, **headers):
        """POST a form, authenticated as `app` with Basic (public: client_id in the body)."""
        data = dict(data)
        if app is not None and app.secret is None:
            data.setdefault("client_id", app.client_id)
        elif app is not None:
            headers.setdefault("HTTP_AUTHORIZATION", app.basic())
        body = urlencode({k: v for k, v in data.items() if v is not None}, doseq=True)
        return self.wire.post(path, body, content_type=FORM, **headers)

    def token(self, app=None, **data):
        return self.post("/oauth/token", data, app or self.world.web)

    def redeem(self, code, app=None, **changes):
        data = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": VERIFIER,
            **changes,
        }
        return self.token(app, **data)

    def refresh(self, refresh_token, app=None, **changes):
        data = {"grant_type": "refresh_token", "refresh_token": refresh_token, **changes}
        return self.token(app, **data)

    def client_credentials(self, app=None, **changes):
        return self.token(app or self.world.cron, grant_type="client_credentials", **changes)

    def exchange(self, subject_token, app=None, **changes):
        """Exchange as service A's client, for service B, unless told otherwise."""
        data = {
            "grant_type": names.TOKEN_EXCHANGE,
            "subject_token": subject_token,
            "subject_token_type": names.ACCESS_TOKEN,
            **changes,
        }
        if app is None and not {"audience", "resource"} & changes.keys():
            data["audience"] = SERVICE_B
        return self.token(app or self.world.service_a_client, **data)

    def introspect(self, token, app=None, **changes):
        """Ask as service A's client unless told otherwise."""
        caller = app or self.world.service_a_client
        return self.post("/oauth/introspect", {"token": token, **changes}, caller)

    def is_active(self, token, app=None):
        return self.introspect(token, app).json()["active"]

    def revoke(self, token, app=None, **changes):
        return self.post("/oauth/revoke", {"token": token, **changes}, app or self.world.web)

    def tokens(self, app=None, scopes=None, **changes):
        """Go through the pages and redeem; return the token response's members."""
        response = self.redeem(self.code(app, scopes, **changes), app)
        assert response.status_code == 200, response.content
        return response.json()


def filled_in(page, decision="allow", scopes=None, **changes):
    """The fields of a page that asks, with every shown scope ticked unless told otherwise."""
    html = page.content.decode()
    shown = re.findall(r'name="scopes" value="([^"]+)"', html)
    return {
        "handle": re.search(r'name="handle" value="([^"]+)"', html)[1],
        "scopes": shown if scopes is None else scopes,
        "decision": decision,
        **changes,
    }


def redirected(response):
    """The parameters that a redirect to a client carries."""
    assert response.status_code == 303, (response.status_code, response.content[:500])
    query = parse_qs(urlsplit(response["Location"]).query, strict_parsing=True)
    assert all(len(values) == 1 for values in query.values())
    return {name: values[0] for name, values in query.items()}


def delegation_of(token_response_or_id):
    """The delegation row behind a token response (by the JWT's claim) or a public id."""
    if isinstance(token_response_or_id, dict):
        token_response_or_id = claims_of(token_response_or_id["access_token"])["delegation_id"]
    return Delegation.objects.get(public_id=token_response_or_id)


def claims_of(token):
    """The claims of a JWT, not verified."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


assert pkce.challenge_for(VERIFIER) == CHALLENGE
