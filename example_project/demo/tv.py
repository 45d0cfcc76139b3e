"""A TV signs in with a code (RFC 8628): it has no keyboard, and Alice has a browser."""

import time
from typing import Final

import requests

from delegation_app.protocol import names
from example_project.api.services import SERVICE_A
from example_project.demo.app import claims_of, members
from example_project.demo.browser import page_of
from example_project.demo.expectations import expect, expect_refusal
from example_project.demo.scene import Scene, Waiting

ASKED: Final = "read:metrics"


def show_a_code(scene: Scene) -> str:
    """The TV gets two codes: one to show, one to ask with."""
    tv = scene.apps["tv"]
    told = members(tv.post("device_authorization_endpoint", scope=ASKED))
    scene.waiting = Waiting(
        device_code=told["device_code"],
        user_code=told["user_code"],
        address=told["verification_uri"],
        # RFC 8628 section 3.2: 5 seconds where nothing is said
        interval=told.get("interval", 5),
    )
    scene.transcript.facts(
        "on the screen", {"go to": told["verification_uri"], "and enter": told["user_code"]}
    )
    expect_refusal(_poll(scene), 400, "authorization_pending")
    return "nobody has typed the code yet, so the TV waits"


def type_the_code(scene: Scene) -> str:
    """Alice opens the page in her browser, types the code, and is asked."""
    shown = scene.alice.get(scene.waiting.address)
    form = page_of(shown).form_with("user_code")
    shown = scene.alice.submit(shown, form, user_code=scene.waiting.user_code)
    form = page_of(shown).form_with("scopes")
    boxes = [value for name, value in form.fields if name == "scopes"]
    expect("the boxes on the page", boxes, ASKED.split())
    done = scene.alice.submit(shown, form, decision="allow")
    page_of(done)
    return "she is signed in already, and sees what the TV wants before she agrees"


def poll_again(scene: Scene) -> str:
    """The TV asks again, no sooner than it may, and uses what it gets."""
    # RFC 8628 section 3.5: or it would be told to slow down
    time.sleep(max(0.0, scene.waiting.asked_at + scene.waiting.interval - time.monotonic()))
    scene.tv_token = str(members(_poll(scene))["access_token"])
    claims = claims_of(scene.tv_token)
    scene.transcript.facts("claims", claims)
    expect("the client", claims.get("client_id"), "tv")
    expect("the audience", claims.get("aud"), SERVICE_A.audience)
    expect("the scope", claims.get("scope"), ASKED)
    members(scene.apps["tv"].use(scene.tv_token, "GET", scene.at("service_a", "metrics")))
    return f"the TV acts for {claims.get('sub')}, on delegation {claims.get('delegation_id')}"


def go_on(scene: Scene) -> str:
    """The TV makes its call once more, whatever became of the app."""
    read = members(scene.apps["tv"].use(scene.tv_token, "GET", scene.at("service_a", "metrics")))
    expect("the client", read["authority"]["client_id"], "tv")
    return "it holds a delegation of its own, which nobody revoked"


def _poll(scene: Scene) -> requests.Response:
    scene.waiting.asked_at = time.monotonic()
    code = scene.waiting.device_code
    return scene.apps["tv"].post("token_endpoint", grant_type=names.DEVICE_CODE, device_code=code)
