"""What each endpoint costs, and what its being a view of Django REST framework adds to that.

The first table has the time of each endpoint as a multiple of the cheapest answer of this server
(the metadata). The second has the CPU of a token request, and that of a plain Django view that
does the same; both without the handler and the middleware.

Run: python -m benchmarks.endpoints [runs]
"""

import statistics
import sys
import time
from collections.abc import Callable

from benchmarks.stage import interleaved, staged


def main(runs: int) -> None:
    """Measure and print."""
    with staged() as story:
        from delegation_app.services.tokens import local_verifier
        from tests.support.world import SERVICE_A

        tokens = story.tokens()
        story.introspect(tokens["access_token"])
        current = {"refresh": tokens["refresh_token"], "codes": [story.code() for _ in range(runs)]}

        def refresh() -> None:
            current["refresh"] = story.refresh(current["refresh"]).json()["refresh_token"]

        medians = interleaved(
            runs,
            metadata=lambda: story.wire.get("/.well-known/oauth-authorization-server"),
            introspection=lambda: story.introspect(tokens["access_token"]),
            verification=lambda: local_verifier.verify(tokens["access_token"], SERVICE_A),
            client_credentials=story.client_credentials,
            redemption=lambda: story.redeem(current["codes"].pop()),
            refresh=refresh,
        )
        cpu = _token_requests(story, 3 * runs)
    for name, median in medians.items():
        ratio = median / medians["metadata"]
        print(f"{name:20} {median:8.2f} ms  {ratio:6.1f} x metadata")
    for name, median in cpu.items():
        print(f"{name:20} {median:8.3f} ms of CPU for a token")
    print(f"{'difference':20} {cpu['framework'] - cpu['plain']:8.3f} ms")


def _token_requests(story: object, runs: int) -> dict[str, float]:
    """Return the median milliseconds of CPU of both views, which take turns."""
    from django.test import RequestFactory

    from delegation_app.views.oauth import TokenView
    from tests.support.world import FORM

    form, headers = (
        b"grant_type=client_credentials",
        {"HTTP_AUTHORIZATION": story.world.cron.basic()},
    )
    views = {"framework": TokenView.as_view(), "plain": _plain_view()}
    taken: dict[str, list[float]] = {name: [] for name in views}
    for _ in range(runs):
        for name, view in views.items():
            request = RequestFactory().post("/", form, content_type=FORM, secure=True, **headers)
            start = time.thread_time()
            response = view(request)
            if hasattr(response, "render"):
                response.render()
            taken[name].append((time.thread_time() - start) * 1000)
            assert response.status_code == 200, response.content  # noqa: S101, PLR2004
    return {name: statistics.median(values) for name, values in taken.items()}


def _plain_view() -> Callable:
    """Return a view of Django alone that does what the token endpoint does."""
    from django.http import JsonResponse

    from delegation_app import http, primary
    from delegation_app.grants import REGISTRY, TokenRequest
    from delegation_app.protocol.requests.client_auth import read_credentials
    from delegation_app.services import signing_keys
    from delegation_app.services.clients.authentication import authenticate

    @primary.reading()
    def view(request: object) -> JsonResponse:
        http.require_https(request)
        parameters = http.read_form(request)
        parameters.refuse_repeats()
        context = http.context_of(request)
        credentials = read_credentials(request.META["HTTP_AUTHORIZATION"], parameters)
        client = authenticate(credentials, ip=context.ip, via=context.via)
        grant = REGISTRY[parameters.require("grant_type")]
        assert client.may_use(grant.TYPE)  # noqa: S101
        parameters.refuse_unsupported(grant.PARAMETERS)
        signer = signing_keys.signer(client.signing_kid)
        declared = parameters.only(grant.PARAMETERS)
        asked = TokenRequest(client, declared, context.acting_as(client.subject))
        headers = {
            "Cache-Control": "no-store",
            "Pragma": "no-cache",
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": "86400",
            "X-Request-Id": http.request_id_of(request),
        }
        return JsonResponse(grant.handle(asked).answer(signer), headers=headers)

    return view


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
