"""The story, step by step: each does the real thing on real requests, and looks at the answer."""

from typing import Any, Final

from delegation_app.client import Tokens
from example_project.api.services import SERVICE_A
from example_project.demo import onward, operator, tv
from example_project.demo.app import claims_of, members
from example_project.demo.browser import page_of
from example_project.demo.expectations import NotAsTold, expect, expect_refused
from example_project.demo.scene import Scene, Step

ASKED: Final = "read:metrics write:alerts read:profile"
GRANTED: Final = "read:metrics write:alerts"


def discover(scene: Scene) -> str:
    """The app learns where the endpoints are."""
    metadata = scene.web.client.metadata()
    expect("the PKCE methods", metadata.challenge_methods, ("S256",))
    return "it knows where to go, and that a proof is wanted with every code"


def open_the_app(scene: Scene) -> str:
    """Alice wants to use the app; it sends her to the authorization server."""
    scene.attempt = scene.web.begin(ASKED)
    scene.shown = scene.alice.get(scene.attempt.url)
    page_of(scene.shown).form_with("password")
    return "nobody is signed in yet, so the site asks who she is"


def sign_in(scene: Scene) -> str:
    """Alice signs in."""
    alice = scene.world["users"]["alice"]
    form = page_of(scene.shown).form_with("password")
    scene.shown = scene.alice.submit(
        scene.shown, form, username=alice["username"], password=alice["password"]
    )
    form = page_of(scene.shown).form_with("scopes")
    boxes = {value for name, value in form.fields if name == "scopes"}
    expect("the boxes on the consent page", boxes, set(ASKED.split()))
    return "the consent page offers what the app asked for, one box each"


def consent(scene: Scene) -> str:
    """Alice unticks a box, and agrees to the rest."""
    form = page_of(scene.shown).form_with("scopes")
    answer = scene.alice.submit(scene.shown, form, scopes=GRANTED.split(), decision="allow")
    expect("the status", answer.status_code, 303)
    scene.callback = answer.headers["Location"]
    return "her browser carries a code to the app, with the app's state and our issuer"


def redeem(scene: Scene) -> str:
    """The app looks whether it is the answer to its own question, and redeems the code."""
    if scene.attempt is None:
        raise NotAsTold("the app", expected="an attempt", got="none")
    claims = _take(scene, scene.web.client.redeem(scene.attempt, scene.callback))
    scene.delegation_id = str(claims.get("delegation_id"))
    expect("the scope", set(str(claims.get("scope")).split()), set(GRANTED.split()))
    expect("the audience", claims.get("aud"), SERVICE_A.audience)
    expect("the client", claims.get("client_id"), "web")
    return f"a token without read:profile, on delegation {scene.delegation_id}"


def call_the_api(scene: Scene) -> str:
    """The app calls the API for Alice, to read and to write."""
    token = scene.tokens.access_token
    read = members(scene.web.use(token, "GET", scene.at("service_a", "metrics")))
    address = scene.at("service_a", "alerts")
    wrote = members(scene.web.use(token, "POST", address, message="Disk is full"))
    for answer in (read, wrote):
        expect("the delegation", answer["authority"]["delegation_id"], scene.delegation_id)
    return f"the API knows that {read['authority']['subject']} lets the app do this"


def refresh(scene: Scene) -> str:
    """Later, the app refreshes its tokens."""
    before = scene.tokens.refresh_token or ""
    claims = _take(scene, scene.web.client.refresh(before))
    expect("the delegation", claims.get("delegation_id"), scene.delegation_id)
    is_new = scene.tokens.refresh_token not in {before, None}
    expect("that the refresh token is a new one", is_new, expected=True)
    return "two new tokens, one and the same delegation"


def work_at_night(scene: Scene) -> str:
    """A job without any person gets a token for itself, for reading only."""
    tokens = scene.cron.client.client_credentials(scope="read:metrics")
    scene.cron_token = tokens.access_token
    claims = claims_of(scene.cron_token)
    scene.transcript.facts("claims", claims)
    expect("the subject", claims.get("sub"), "client:cron")
    expect("that there is no refresh token", tokens.refresh_token is None, expected=True)
    members(scene.cron.use(scene.cron_token, "GET", scene.at("service_a", "metrics")))
    return f"the job acts for itself, on delegation {claims.get('delegation_id')}"


def reach_too_far(scene: Scene) -> str:
    """The job tries to write with it."""
    address = scene.at("service_a", "alerts")
    answer = scene.cron.use(scene.cron_token, "POST", address, message="Up all night")
    expect("the status", answer.status_code, 403)
    refusal = {
        "error": "insufficient_scope",
        "required": ["write:alerts"],
        "provided": ["read:metrics"],
    }
    expect("the answer", answer.json(), refusal)
    return "refused: the answer says what was needed and what was there"


def refresh_again(scene: Scene) -> str:
    """The app tries to get a new token."""
    old = scene.tokens.refresh_token or ""
    expect_refused(lambda: scene.web.client.refresh(old), "invalid_grant")
    return "refused: the app has to ask Alice again"


STORY: Final = (
    Step("The app reads the metadata of the authorization server", discover),
    Step("Alice opens the app, which sends her to the authorization server", open_the_app),
    Step("Alice signs in", sign_in),
    Step("Alice unticks her profile, and lets the app do the rest", consent),
    Step("The app redeems the code, and proves that it is the app that asked", redeem),
    Step("The app calls the API for Alice", call_the_api),
    Step("The app refreshes its tokens", refresh),
    Step("A nightly job gets a token for itself, to read only", work_at_night),
    Step("The job tries to write", reach_too_far),
    Step(
        "The app asks service A for a report; A asks B for its part, and B asks C",
        onward.ask_for_a_report,
    ),
    Step("How A did that: it exchanges the app's token for one that B takes", onward.exchange_as_a),
    Step("How B did that: C is told who acts for whom", onward.exchange_as_b),
    Step("The operator signs in, and finds the tree of delegations", operator.find_the_delegation),
    Step("The operator revokes the one in the middle", operator.revoke_the_middle),
    Step("C, which looks into the database, is shown its token again", onward.ask_c_again),
    Step("B, which looks at a list now and then, is asked until it knows", onward.wait_for_b),
    Step("The app goes on, as far as service A", onward.go_on_without_b),
    Step("A TV without a keyboard wants to sign in, and shows a code", tv.show_a_code),
    Step("Alice types the code in her browser", tv.type_the_code),
    Step("The TV asks again, and calls the API", tv.poll_again),
    Step("The operator revokes the root", operator.revoke_the_root),
    Step("The app makes its calls again, until A knows too", onward.find_nothing_left),
    Step("The app tries to refresh", refresh_again),
    Step("The TV makes its call again", tv.go_on),
    Step("The operator reads what happened to the three delegations", operator.read_the_trail),
    Step("The operator looks closer at the last exchange", operator.read_the_chain),
)


def _take(scene: Scene, tokens: Tokens) -> dict[str, Any]:
    scene.tokens = tokens
    claims = claims_of(tokens.access_token)
    scene.transcript.facts("claims", claims)
    return claims
