"""A TV signs in with a device code (RFC 8628): it has no keyboard, and Alice has a browser."""

import time
from typing import Final

import requests

from delegation_app.protocol import names
from example_project.api.services import SERVICE_A
from example_project.demo.app import claims_of, members
from example_project.demo.scene import Scene
from example_project.demo.steps import expect, expect_error

REQUESTED: Final = "read:metrics"


def show_a_code(scene: Scene) -> str:
    """A TV without a keyboard shows a code."""
    tv = scene.apps["tv"]
    scene.device = members(tv.post("device_authorization_endpoint", scope=REQUESTED))
    shown = {"go to": scene.device["verification_uri"], "and enter": scene.device["user_code"]}
    scene.transcript.facts("on the screen", shown)
    expect_error(_poll(scene), 400, "authorization_pending")
    return "the code has not been entered yet, so the TV waits"


def enter_the_code(scene: Scene) -> str:
    """Alice enters the code in her browser, and allows it."""
    scene.alice.open(scene.device["verification_uri"])
    scene.alice.submit("user_code", user_code=scene.device["user_code"])
    boxes = scene.alice.values("scopes")["scopes"]
    expect("the scopes on the page", boxes, REQUESTED.split())
    scene.alice.submit("scopes", decision="allow")
    return "she is signed in already, and the page shows what the TV requests"


def poll_again(scene: Scene) -> str:
    """The TV polls again, receives its tokens and calls the API."""
    # RFC 8628 section 3.2: 5 seconds by default; section 3.5: sooner is slow_down
    interval = scene.device.get("interval", 5)
    time.sleep(max(0.0, scene.polled_at + interval - time.monotonic()))
    scene.tv_token = str(members(_poll(scene))["access_token"])
    claims = claims_of(scene.tv_token)
    scene.transcript.facts("claims", claims)
    expect("the client", claims.get("client_id"), "tv")
    expect("the audience", claims.get("aud"), SERVICE_A.audience)
    expect("the scope", claims.get("scope"), REQUESTED)
    members(scene.apps["tv"].use(scene.tv_token, "GET", scene.at("service_a", "metrics")))
    return f"the TV acts for {claims.get('sub')}, on delegation {claims.get('delegation_id')}"


def call_again(scene: Scene) -> str:
    """The TV calls the API again."""
    read = members(scene.apps["tv"].use(scene.tv_token, "GET", scene.at("service_a", "metrics")))
    expect("the client", read["authority"]["client_id"], "tv")
    return "it has a delegation of its own, which was not revoked"


def _poll(scene: Scene) -> requests.Response:
    scene.polled_at = time.monotonic()
    code = scene.device["device_code"]
    return scene.apps["tv"].post("token_endpoint", grant_type=names.DEVICE_CODE, device_code=code)
