"""Exchanges under a parent with many children, and what is asked about tokens deep in a tree."""

import argparse
from collections.abc import Iterator
from typing import Any

from benchmarks import database
from benchmarks.stage import in_turn, told
from tests.support import forest

_FEW, _MANY = 10, 10_000
_DEEPEST = 8
_DISABLED = (0, 10, 1000)


def exchange(story: Any, sizes: argparse.Namespace) -> None:
    """Exchange under a parent with ten children and one with ten thousand."""
    from delegation_app.models import Delegation
    from tests.support.world import delegation_of

    service = story.world.service_a_client
    service.change(may_request_constraints=True)
    parents = {_FEW: story.tokens(), _MANY: story.tokens()}
    for children, tokens in parents.items():
        top = Delegation.objects.filter(pk=delegation_of(tokens).pk)
        forest.grow(top, children, service.row)
        story.exchange(tokens["access_token"])
    database.tidy()

    def ask(children: int, **more: str) -> None:
        response = story.exchange(parents[children]["access_token"], **more)
        if response.status_code != 200:  # noqa: PLR2004 - HTTP
            raise RuntimeError(response.content)

    number = _numbers()

    def ask_anew(children: int) -> None:
        uses = 10**6 + next(number)
        ask(children, constraints=f'[{{"type": "max_uses", "uses": {uses}}}]', audience=_target())

    for what, act in (("the child exists", ask), ("the child is new", ask_anew)):
        taken = in_turn(sizes.runs, few=lambda: act(_FEW), many=lambda: act(_MANY))  # noqa: B023 - at once
        told(f"exchange, {what}, {_FEW} children beside it", taken["few"])
        told(f"exchange, {what}, {_MANY} children beside it", taken["many"])


def introspection(story: Any, sizes: argparse.Namespace) -> None:
    """Ask about a token of a root and of the deepest level while ever more clients are disabled."""
    root = story.tokens()["access_token"]
    deepest = _handed_down(story, root)
    asker = story.world.operator_tool
    disabled = 0
    for count in _DISABLED:
        _disable(count - disabled, disabled)
        disabled = count
        database.tidy()
        taken = in_turn(
            sizes.runs,
            root=lambda: _active(story, root, asker),
            deepest=lambda: _active(story, deepest, asker),
        )
        told(f"introspection, depth 0, {count} clients disabled", taken["root"])
        told(f"introspection, depth {_DEEPEST}, {count} clients disabled", taken["deepest"])


def _numbers() -> Iterator[int]:
    number = 0
    while True:
        yield (number := number + 1)


def _target() -> str:
    from tests.support.world import SERVICE_B

    return SERVICE_B


def _active(story: Any, token: str, asker: Any) -> None:
    if not story.is_active(token, asker):
        raise RuntimeError("the token should be active")


def _handed_down(story: Any, token: str) -> str:
    from tests.support.world import SERVICE_A, SERVICE_B

    hops = ((story.world.service_a_client, SERVICE_B), (story.world.service_b_client, SERVICE_A))
    for level in range(_DEEPEST):
        client, audience = hops[level % 2]
        token = story.exchange(token, client, audience=audience).json()["access_token"]
    return token


def _disable(more: int, first: int) -> None:
    from delegation_app import toolkit
    from delegation_app.models import ClientPolicy

    model = toolkit.application_model()
    names = [f"disabled-{number}" for number in range(first, first + more)]
    model.objects.bulk_create(
        model(
            name=name,
            client_id=name,
            client_secret="",
            client_type="confidential",
            authorization_grant_type="client-credentials",
        )
        for name in names
    )
    ClientPolicy.objects.bulk_create(
        ClientPolicy(application=application, enabled=False)
        for application in model.objects.filter(client_id__in=names)
    )
