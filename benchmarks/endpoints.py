"""What each endpoint costs, as a multiple of the cheapest answer of this server (the metadata).

Run: python -m benchmarks.endpoints [runs]
"""

import sys

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
    for name, median in medians.items():
        ratio = median / medians["metadata"]
        print(f"{name:20} {median:8.2f} ms  {ratio:6.1f} x metadata")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
