"""Authority that is passed on: the app asks service A, A asks B, B asks C, each for Alice."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import requests

from example_project.api.services import SERVICE_B
from example_project.demo.app import claims_of, members
from example_project.demo.expectations import expect, expect_refusal, expect_refused
from example_project.demo.reach import seconds_until_refused
from example_project.demo.scene import Handed, Scene

NEEDED: Final = "read:metrics"


def ask_for_a_report(scene: Scene) -> str:
    """The app asks A; to answer, A asks B, and B asks C."""
    answer = members(_ask(scene, "report"))
    told = [(report["service"], report["authority"]) for report in _reports(answer)]
    expect("who answered", [name for name, _authority in told], list(scene.world["audiences"]))
    at_a, at_b, at_c = (authority for _name, authority in told)
    expect("the delegation at service A", at_a["delegation_id"], scene.delegation_id)
    expect("the subjects", {at_b["subject"], at_c["subject"]}, {at_a["subject"]})
    scene.at_b = Handed(delegation_id=at_b["delegation_id"])
    scene.at_c = Handed(delegation_id=at_c["delegation_id"])
    expect("the number of delegations", len(set(scene.tree)), len(told))
    scene.transcript.facts("whom each service let in", {})
    scene.transcript.rows([_as_row(*each) for each in told], always=3)
    return "one call, three services, three delegations: each service got one of its own"


def exchange_as_a(scene: Scene) -> str:
    """What A did for that: its client exchanges the app's token."""
    address, token = scene.at("service_b", "metrics"), scene.tokens.access_token
    expect_refusal(scene.web.use(token, "GET", address), 401, "invalid_token")
    scene.at_b.token = _exchange(scene, "service_a", token, "service_b")
    claims = _claims(scene, scene.at_b)
    expect("the audience", claims.get("aud"), SERVICE_B.audience)
    expect("who acts", claims.get("act"), _client("service_a"))
    members(scene.apps["service_a"].use(scene.at_b.token, "GET", address))
    return "B refuses the app's token and takes this one, on the same child as before"


def exchange_as_b(scene: Scene) -> str:
    """What B did: it exchanges what A sent, and C can tell the whole way."""
    scene.at_c.token = _exchange(scene, "service_b", scene.at_b.token, "service_c")
    claims = _claims(scene, scene.at_c)
    way = {**_client("service_b"), "act": _client("service_a")}
    expect("who acts", claims.get("act"), way)
    caller = scene.apps["service_b"]
    answer = members(caller.use(scene.at_c.token, "GET", scene.at("service_c", "metrics")))
    authority = answer["authority"]
    _show_authority(scene, "who acted for whom", authority)
    expect("the current actor", authority["actor"], _client("service_b"))
    expect("the history", authority["history"], [_client("service_a")])
    expect("the scopes", authority["scopes"], [NEEDED])
    told = scene.apps["service_c"].client.introspect(scene.at_c.token)
    expect("that the token is active", told.get("active"), expected=True)
    return f"service_b acts for {authority['subject']}, after service_a, and may only read"


def ask_c_again(scene: Scene) -> str:
    """C looks each token up, and B's and C's clients ask the server: both know at once."""
    caller = scene.apps["service_b"]
    answer = caller.use(scene.at_c.token, "GET", scene.at("service_c", "metrics"))
    expect_refusal(answer, 401, "invalid_token")
    for service, handed in (("service_b", scene.at_b), ("service_c", scene.at_c)):
        told = scene.apps[service].client.introspect(handed.token)
        expect("what introspection says", dict(told), {"active": False})
    return "refused at once, and inactive for whoever asks: what is below goes with it"


def wait_for_b(scene: Scene) -> str:
    """B verifies without a call; it knows with the next status list that it reads."""
    caller, address = scene.apps["service_a"], scene.at("service_b", "metrics")
    took = _until_refused(scene, lambda: caller.ask(scene.at_b.token, "GET", address))
    return f"refused {took:.1f} seconds after the revocation had returned, without a call for each"


def go_on_without_b(scene: Scene) -> str:
    """The app's own token is as good as before, but A gets nothing for B any more."""
    read = members(_ask(scene, "metrics"))
    expect("the delegation", read["authority"]["delegation_id"], scene.delegation_id)
    answer = _ask(scene, "report")
    expect_refusal(answer, 403, "refused_further_on")
    told = answer.json()
    expect("the hop", told["hop"], "service_a -> service_b")
    expect("why", told["reason"]["error"], "invalid_target")
    return "A works; the report says which hop was refused, and why"


def find_nothing_left(scene: Scene) -> str:
    """After the root, the whole way is closed."""
    token = scene.tokens.access_token
    expect_refused(lambda: _exchange(scene, "service_a", token, "service_b"), "invalid_request")
    address = scene.at("service_a", "metrics")
    took = _until_refused(scene, lambda: scene.web.ask(token, "GET", address))
    expect_refusal(_ask(scene, "report"), 401, "invalid_token")
    return f"refused after {took:.1f} seconds: the token has not expired, and is worth nothing"


def _ask(scene: Scene, what: str) -> requests.Response:
    return scene.web.use(scene.tokens.access_token, "GET", scene.at("service_a", what))


def _until_refused(scene: Scene, ask: Callable[[], requests.Response]) -> float:
    return seconds_until_refused(scene.transcript, scene.operator.submitted_at, ask)


def _exchange(scene: Scene, client: str, token: str, audience: str) -> str:
    # As the services themselves do it, see api/downstream.py: so it is the same delegation.
    identifier = scene.world["audiences"][audience]
    return scene.apps[client].exchange(token, identifier, NEEDED).access_token


def _claims(scene: Scene, handed: Handed) -> dict[str, Any]:
    claims = claims_of(handed.token)
    scene.transcript.facts("claims", claims)
    expect("the delegation", claims.get("delegation_id"), handed.delegation_id)
    expect("the scope", claims.get("scope"), NEEDED)
    return claims


def _client(client_id: str) -> dict[str, Any]:
    return {"sub": f"client:{client_id}", "client_id": client_id}


def _reports(report: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    while report is not None:
        yield report
        report = report["next"]


def _as_row(service: str, authority: Mapping[str, Any]) -> list[str]:
    acts = f"{authority['client_id']} for {authority['subject']}"
    return [service, acts, authority["delegation_id"]]


def _show_authority(scene: Scene, title: str, authority: Mapping[str, Any]) -> None:
    history = [actor["sub"] for actor in authority["history"]]
    facts = {
        "for whom": authority["subject"],
        "acts now": (authority["actor"] or {}).get("sub", authority["client_id"]),
        "acted before": ", ".join(history) or "nobody",
        "scopes": " ".join(authority["scopes"]),
        "delegation": authority["delegation_id"],
    }
    scene.transcript.facts(title, facts)
