"""Alice's trip: the example of two hops that the checklist tells, claim for claim.

What differs from the example, each by decision of the design:

- `sub` is `user:<id>`, since people and clients have namespaces of their own;
- an actor is `{"sub": "client:<id>", "client_id": "<id>"}`: the subject and what it goes by;
- `delegation_id`, `nbf` and `acr` are told as well, and `constraints` where there are some that a
  resource server has to enforce;
- a `jti` is random, and so is where in a list its `status` stands;
- the privileged view names `grant_type` for `source`, and random ids without a prefix.
"""

from datetime import UTC, datetime, timedelta

import pytest

from delegation_app.models import ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.constraints import Constraints
from tests.support.chains import acting_with, own_token
from tests.support.world import Story, claims_of, delegation_of, make_app

pytestmark = pytest.mark.compat

T0 = 1_795_262_400
PLANNER = "https://planner.example.com/"
BOOKING = "https://booking.example.com/"
PAYMENTS = "https://payments.example.com/"
SCOPES = "payments:hold trips:plan"
BY_DECISION = {"delegation_id", "nbf", "acr", "jti", "constraints", "status"}
NETWORKS = {"type": "ip_range", "networks": ["203.0.113.0/24"]}
SERVICE = (names.CLIENT_CREDENTIALS, names.TOKEN_EXCHANGE)


@pytest.fixture
def trip(world, settings, clock):
    """The site of the example, and alice who signed in two minutes before T0."""
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "SCOPES": {"trips:plan": "Plan trips", "payments:hold": "Hold payments"},
    }
    planner, booking, payments = (
        ResourceServer.objects.create(identifier=identifier, name=name, scopes=SCOPES)
        for identifier, name in ((PLANNER, "planner"), (BOOKING, "booking"), (PAYMENTS, "payments"))
    )
    world.apps |= {
        "web_app": make_app(
            "web-app",
            grants=(names.AUTHORIZATION_CODE,),
            audiences=[planner, booking, payments],
            scopes=SCOPES,
            redirect_uris="https://app.example.com/callback",
            delegation_lifetime=86_400,
            constraints=Constraints.parse([NETWORKS, {"type": "max_depth", "depth": 2}]),
        ),
        "planner_agent": make_app(
            "planner-agent",
            grants=SERVICE,
            audiences=[booking],
            scopes=SCOPES,
            speaks_for=planner,
            access_token_lifetime=420,
        ),
        "booking_tool": make_app(
            "booking-tool",
            grants=SERVICE,
            audiences=[payments],
            scopes=SCOPES,
            speaks_for=booking,
            access_token_lifetime=240,
        ),
        "payments_api": make_app("payments-api", grants=(), audiences=[], speaks_for=payments),
    }
    clock.time = datetime.fromtimestamp(T0, UTC) - timedelta(seconds=120)
    story = Story(world, world.alice)
    story.wire.defaults["REMOTE_ADDR"] = story.browser.defaults["REMOTE_ADDR"] = "203.0.113.7"
    clock.forward(seconds=120)
    return story


def told(members):
    """What the example tells too."""
    return {name: value for name, value in members.items() if name not in BY_DECISION}


def actor(client_id):
    return {"sub": f"client:{client_id}", "client_id": client_id}


def hop(story, app, subject_token, **targets):
    own = own_token(story, app)
    response = story.exchange(subject_token, app, **targets, **acting_with(own))
    assert response.status_code == 200, response.content
    return response.json()


@pytest.fixture
def answers(trip, clock):
    """The three token responses."""
    app = trip.world.web_app
    code = trip.code(app, scope="trips:plan payments:hold", resource=[PLANNER, BOOKING, PAYMENTS])
    first = trip.redeem(code, app, resource=PLANNER).json()
    clock.forward(seconds=30)
    second = hop(
        trip, trip.world.planner_agent, first["access_token"], resource=BOOKING,
        scope="payments:hold",
    )  # fmt: skip
    clock.forward(seconds=30)
    third = hop(trip, trip.world.booking_tool, second["access_token"], resource=PAYMENTS)
    return [first, second, third]


@pytest.mark.conformance("TX-11", "TX-12", "TX-13", "TX-23", "TX-24", "TX-26", "TX-27", "TX-42")
def test_two_hops_when_told_claim_for_claim(trip, answers):
    alice = f"user:{trip.world.alice.pk}"
    first, second, third = (told(claims_of(answer["access_token"])) for answer in answers)
    issuer = {"iss": "https://as.example.com", "sub": alice, "auth_time": T0 - 120}
    assert first == {
        **issuer, "aud": PLANNER, "client_id": "web-app", "scope": SCOPES, "iat": T0,
        "exp": 1_795_263_000,
    }  # fmt: skip
    assert second == {
        **issuer, "aud": BOOKING, "client_id": "planner-agent", "scope": "payments:hold",
        "iat": 1_795_262_430, "exp": 1_795_262_850, "act": actor("planner-agent"),
    }  # fmt: skip
    assert third == {
        **issuer,
        "aud": PAYMENTS,
        "client_id": "booking-tool",
        "scope": "payments:hold",
        "iat": 1_795_262_460,
        "exp": 1_795_262_700,
        "act": {**actor("booking-tool"), "act": actor("planner-agent")},
    }
    answer = dict(answers[2])
    del answer["access_token"]
    assert answer == {
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 240,
        "scope": "payments:hold",
    }


def test_two_hops_when_it_differs_from_the_example(trip, answers):
    for answer in answers:
        claims = claims_of(answer["access_token"])
        assert claims.keys() - told(claims).keys() == BY_DECISION
        assert claims["nbf"] == claims["iat"]
        assert claims["acr"] == "1"
        assert claims["constraints"] == [NETWORKS]
        assert claims["delegation_id"] == str(delegation_of(answer).public_id)
        assert claims["status"].keys() == {"status_list"}
        assert claims["status"]["status_list"].keys() == {"idx", "uri"}
    for name in ("jti", "status"):
        assert len({str(claims_of(answer["access_token"])[name]) for answer in answers}) == 3


@pytest.mark.conformance("IN-07", "TX-43", "IN-13")
def test_introspection_when_the_payments_api_asks(trip, answers):
    token = answers[2]["access_token"]
    claims = claims_of(token)
    members = trip.introspect(token, trip.world.payments_api).json()
    assert told(members) | {"jti": members["jti"]} == {
        "active": True,
        "iss": "https://as.example.com",
        "sub": f"user:{trip.world.alice.pk}",
        "aud": PAYMENTS,
        "client_id": "booking-tool",
        "token_type": "Bearer",
        "scope": "payments:hold",
        "iat": 1_795_262_460,
        "exp": 1_795_262_700,
        "jti": claims["jti"],
        "act": {**actor("booking-tool"), "act": actor("planner-agent")},
    }
    assert members["act"] == claims["act"]
    assert members.keys() - told(members).keys() == BY_DECISION - {"acr", "status"}


@pytest.mark.conformance("IN-13", "DG-11", "DG-13")
def test_introspection_when_an_operators_tool_asks(trip, answers):
    rows = [delegation_of(answer) for answer in answers]
    token = answers[2]["access_token"]
    ordinary = trip.introspect(token, trip.world.payments_api).json()
    members = trip.introspect(token, trip.world.operator_tool).json()
    assert members.pop("delegation") == {
        "id": str(rows[2].public_id),
        "grant_type": names.TOKEN_EXCHANGE,
        "chain": [str(row.public_id) for row in rows],
        # Of two generations that were allowed, none is left.
        "constraints": [NETWORKS, {"type": "max_depth", "depth": 0}],
        "consent": str(rows[0].consent.public_id),
    }
    assert members == ordinary
    assert rows[2].expires_at == datetime.fromtimestamp(T0 + 86_400, UTC)
