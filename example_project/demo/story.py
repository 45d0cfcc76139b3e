"""The story: each step makes real requests and checks the answers. Its docstring is its title."""

from typing import Any, Final

from delegation_app.client import Tokens
from example_project.api.services import SERVICE_A
from example_project.demo import onward, operator, tv
from example_project.demo.app import claims_of, members
from example_project.demo.scene import Scene
from example_project.demo.steps import StepFailed, expect, expect_refused

REQUESTED: Final = "read:metrics write:alerts read:profile"
GRANTED: Final = "read:metrics write:alerts"


def discover(scene: Scene) -> str:
    """The app reads the metadata of the authorization server."""
    metadata = scene.web.client.metadata()
    expect("the PKCE methods", metadata.challenge_methods, ("S256",))
    return "it knows the endpoints, and that every code requires PKCE"


def open_the_app(scene: Scene) -> str:
    """Alice opens the app, which sends her to the authorization server."""
    scene.attempt = scene.web.begin(REQUESTED)
    scene.alice.open(scene.attempt.url)
    scene.alice.values("password")
    return "she is not signed in yet, so the sign-in page is shown"


def sign_in(scene: Scene) -> str:
    """Alice signs in."""
    scene.alice.submit("password", **scene.world["users"]["alice"])
    boxes = set(scene.alice.values("scopes")["scopes"])
    expect("the scopes on the consent page", boxes, set(REQUESTED.split()))
    return "the consent page has one checkbox for each requested scope"


def consent(scene: Scene) -> str:
    """Alice unchecks her profile, and allows the rest."""
    answer = scene.alice.submit("scopes", scopes=GRANTED.split(), decision="allow")
    expect("the status", answer.status_code, 303)
    scene.callback = answer.headers["Location"]
    return "her browser carries a code to the app, with the app's state and the issuer"


def redeem(scene: Scene) -> str:
    """The app verifies the state and the issuer, and redeems the code with its PKCE verifier."""
    if scene.attempt is None:
        raise StepFailed("the app", expected="an attempt", got="none")
    claims = _keep(scene, scene.web.client.redeem(scene.attempt, scene.callback))
    scene.delegation_id = str(claims.get("delegation_id"))
    expect("the scope", set(str(claims.get("scope")).split()), set(GRANTED.split()))
    expect("the audience", claims.get("aud"), SERVICE_A.audience)
    expect("the client", claims.get("client_id"), "web")
    return f"a token without read:profile, on delegation {scene.delegation_id}"


def call_the_api(scene: Scene) -> str:
    """The app calls the API on behalf of Alice."""
    token = scene.tokens.access_token
    read = members(scene.web.use(token, "GET", scene.at("service_a", "metrics")))
    address = scene.at("service_a", "alerts")
    wrote = members(scene.web.use(token, "POST", address, message="Disk is full"))
    for answer in (read, wrote):
        expect("the delegation", answer["authority"]["delegation_id"], scene.delegation_id)
    return f"the API knows the subject, {read['authority']['subject']}, and the delegation"


def refresh(scene: Scene) -> str:
    """The app refreshes its tokens."""
    before = scene.tokens.refresh_token or ""
    claims = _keep(scene, scene.web.client.refresh(before))
    expect("the delegation", claims.get("delegation_id"), scene.delegation_id)
    rotated = scene.tokens.refresh_token not in {before, None}
    expect("that the refresh token is a new one", rotated, expected=True)
    return "two new tokens of the same delegation"


def act_without_a_user(scene: Scene) -> str:
    """A nightly job obtains a read-only token for itself."""
    tokens = scene.cron.client.client_credentials(scope="read:metrics")
    scene.cron_token = tokens.access_token
    claims = claims_of(scene.cron_token)
    scene.transcript.facts("claims", claims)
    expect("the subject", claims.get("sub"), "client:cron")
    expect("that there is no refresh token", tokens.refresh_token is None, expected=True)
    members(scene.cron.use(scene.cron_token, "GET", scene.at("service_a", "metrics")))
    return f"the job acts for itself, on delegation {claims.get('delegation_id')}"


def exceed_the_scope(scene: Scene) -> str:
    """The job tries to write."""
    address = scene.at("service_a", "alerts")
    answer = scene.cron.use(scene.cron_token, "POST", address, message="Up all night")
    expect("the status", answer.status_code, 403)
    refusal = {
        "error": "insufficient_scope",
        "required": ["write:alerts"],
        "provided": ["read:metrics"],
    }
    expect("the answer", answer.json(), refusal)
    return "refused: the answer has the required and the provided scopes"


def refresh_after_the_end(scene: Scene) -> str:
    """The app tries to refresh."""
    old = scene.tokens.refresh_token or ""
    expect_refused(lambda: scene.web.client.refresh(old), "invalid_grant")
    return "refused: the app has to ask Alice for consent again"


STORY: Final = (
    discover,
    open_the_app,
    sign_in,
    consent,
    redeem,
    call_the_api,
    refresh,
    act_without_a_user,
    exceed_the_scope,
    onward.request_a_report,
    onward.exchange_as_a,
    onward.exchange_as_b,
    operator.find_the_delegation,
    operator.revoke_the_middle,
    onward.call_c_again,
    onward.call_b_until_refused,
    onward.call_a_again,
    tv.show_a_code,
    tv.enter_the_code,
    tv.poll_again,
    operator.revoke_the_root,
    onward.call_a_until_refused,
    refresh_after_the_end,
    tv.call_again,
    operator.read_the_trail,
    operator.read_the_chain,
)


def _keep(scene: Scene, tokens: Tokens) -> dict[str, Any]:
    scene.tokens = tokens
    claims = claims_of(tokens.access_token)
    scene.transcript.facts("claims", claims)
    return claims
