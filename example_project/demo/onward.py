"""Token exchange: the app calls service A, A calls B, B calls C, each on behalf of Alice."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import requests

from example_project.api.services import SERVICE_B
from example_project.demo.app import claims_of, members
from example_project.demo.scene import Child, Scene
from example_project.demo.steps import StepFailed, expect, expect_error, expect_refused

SCOPE: Final = "read:metrics"
# A verifier polls the status list every five seconds, the server recomputes it every second; the
# rest is for a busy machine.
MAX_SECONDS: Final = 8.0
_PAUSE: Final = 0.2


def request_a_report(scene: Scene) -> str:
    """The app requests a report from service A; to answer, A calls B, and B calls C."""
    answer = members(_call(scene, "report"))
    reports = [(report["service"], report["authority"]) for report in _reports(answer)]
    expect("the services", [name for name, _authority in reports], list(scene.world["audiences"]))
    at_a, at_b, at_c = (authority for _name, authority in reports)
    expect("the delegation at service A", at_a["delegation_id"], scene.delegation_id)
    expect("the subjects", {at_b["subject"], at_c["subject"]}, {at_a["subject"]})
    scene.at_b = Child(at_b["delegation_id"])
    scene.at_c = Child(at_c["delegation_id"])
    expect("the number of delegations", len(set(scene.tree)), len(reports))
    rows = [
        (name, f"{it['client_id']} for {it['subject']}", it["delegation_id"])
        for name, it in reports
    ]
    scene.transcript.rows("what each service accepted", rows)
    return "one call, three services, and a delegation for each"


def exchange_as_a(scene: Scene) -> str:
    """How A did that: it exchanged the app's token for one that B accepts."""
    address, token = scene.at("service_b", "metrics"), scene.tokens.access_token
    expect_error(scene.web.use(token, "GET", address), 401, "invalid_token")
    scene.at_b.token = _exchange(scene, "service_a", token, "service_b")
    claims = _claims(scene, scene.at_b)
    expect("the audience", claims.get("aud"), SERVICE_B.audience)
    expect("the actor", claims.get("act"), _actor("service_a"))
    members(scene.apps["service_a"].use(scene.at_b.token, "GET", address))
    return "B refuses the app's token and accepts this one, of the same child delegation as before"


def exchange_as_b(scene: Scene) -> str:
    """How B did that: its token tells C who acts for whom."""
    scene.at_c.token = _exchange(scene, "service_b", scene.at_b.token, "service_c")
    claims = _claims(scene, scene.at_c)
    actors = {**_actor("service_b"), "act": _actor("service_a")}
    expect("the actors", claims.get("act"), actors)
    answer = members(_call_c(scene))
    authority = answer["authority"]
    _show_authority(scene, authority)
    expect("the current actor", authority["actor"], _actor("service_b"))
    expect("the earlier actors", authority["history"], [_actor("service_a")])
    expect("the scopes", authority["scopes"], [SCOPE])
    state = scene.apps["service_c"].client.introspect(scene.at_c.token)
    expect("that the token is active", state.get("active"), expected=True)
    return f"service_b acts for {authority['subject']}, after service_a, and may only read"


def call_c_again(scene: Scene) -> str:
    """C, which reads the database, receives its token again."""
    expect_error(_call_c(scene), 401, "invalid_token")
    for service, child in (("service_b", scene.at_b), ("service_c", scene.at_c)):
        state = scene.apps[service].client.introspect(child.token)
        expect("the answer to introspection", dict(state), {"active": False})
    return "refused immediately, and inactive for introspection: everything below is revoked too"


def call_b_until_refused(scene: Scene) -> str:
    """B, which polls a status list, receives its token until it refuses."""
    caller, address = scene.apps["service_a"], scene.at("service_b", "metrics")
    took = _until_refused(scene, lambda: caller.call(scene.at_b.token, "GET", address))
    return f"refused after {took:.1f} seconds, without a call to the server for each request"


def call_a_again(scene: Scene) -> str:
    """The app calls A again, which cannot reach B any more."""
    read = members(_call(scene, "metrics"))
    expect("the delegation", read["authority"]["delegation_id"], scene.delegation_id)
    answer = _call(scene, "report")
    expect_error(answer, 403, "onward_refused")
    error = answer.json()
    expect("the hop", error["hop"], "service_a -> service_b")
    expect("the reason", error["reason"]["error"], "invalid_target")
    return "the app's token still works at A; the report says which hop was refused, and why"


def call_a_until_refused(scene: Scene) -> str:
    """The app repeats its calls until A refuses them too."""
    token = scene.tokens.access_token
    expect_refused(lambda: _exchange(scene, "service_a", token, "service_b"), "invalid_request")
    address = scene.at("service_a", "metrics")
    took = _until_refused(scene, lambda: scene.web.call(token, "GET", address))
    expect_error(_call(scene, "report"), 401, "invalid_token")
    return f"refused after {took:.1f} seconds, although the token has not expired"


def _call(scene: Scene, view: str) -> requests.Response:
    return scene.web.use(scene.tokens.access_token, "GET", scene.at("service_a", view))


def _call_c(scene: Scene) -> requests.Response:
    address = scene.at("service_c", "metrics")
    return scene.apps["service_b"].use(scene.at_c.token, "GET", address)


def _until_refused(scene: Scene, call: Callable[[], requests.Response]) -> float:
    """Repeat a call, show the first and the last, and return the seconds since the revocation."""
    revoked_at = scene.operator.submitted_at
    answer, repeated = call(), 0
    scene.transcript.exchange(answer)
    while answer.ok:
        if time.monotonic() - revoked_at > MAX_SECONDS:
            expected = f"a refusal within {MAX_SECONDS:.0f} seconds"
            raise StepFailed("the service", expected=expected, got=f"{repeated + 1} good answers")
        time.sleep(_PAUSE)
        answer, repeated = call(), repeated + 1
    took = time.monotonic() - revoked_at
    if repeated:
        scene.transcript.say(f"    … (calls in between: {repeated - 1})")
        scene.transcript.exchange(answer)
    expect_error(answer, 401, "invalid_token")
    return took


def _exchange(scene: Scene, client: str, token: str, audience: str) -> str:
    # With the terms of api/downstream.py, so that the delegation is the same
    identifier = scene.world["audiences"][audience]
    return scene.apps[client].exchange(token, identifier, SCOPE).access_token


def _claims(scene: Scene, child: Child) -> dict[str, Any]:
    claims = claims_of(child.token)
    scene.transcript.facts("claims", claims)
    expect("the delegation", claims.get("delegation_id"), child.delegation_id)
    expect("the scope", claims.get("scope"), SCOPE)
    return claims


def _actor(client_id: str) -> dict[str, Any]:
    return {"sub": f"client:{client_id}", "client_id": client_id}


def _reports(report: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    while report is not None:
        yield report
        report = report["next"]


def _show_authority(scene: Scene, authority: Mapping[str, Any]) -> None:
    facts = {
        "subject": authority["subject"],
        "actor": (authority["actor"] or {}).get("sub", authority["client_id"]),
        "earlier actors": ", ".join(actor["sub"] for actor in authority["history"]) or "none",
        "scopes": " ".join(authority["scopes"]),
        "delegation": authority["delegation_id"],
    }
    scene.transcript.facts("who acts for whom", facts)
