"""Revoking a delegation with many tokens against one with a few: the ratio should be about 1.

Run: python -m benchmarks.revocation [tokens] [runs]
"""

import sys
from datetime import timedelta

from benchmarks.stage import interleaved, staged


def main(tokens: int, runs: int) -> None:
    """Measure and print."""
    with staged() as story:
        from django.db import transaction
        from django.utils import timezone

        from delegation_app.models import AccessToken
        from delegation_app.protocol.secrets import new_token_id
        from delegation_app.services import audit
        from delegation_app.services.delegations import revocation
        from tests.support.world import delegation_of

        few, many = delegation_of(story.tokens()), delegation_of(story.tokens())
        now = timezone.now()
        AccessToken.objects.bulk_create(
            (
                AccessToken(
                    jti=new_token_id(),
                    delegation=many,
                    scope=many.scopes,
                    audience=many.audience,
                    issued_at=now,
                    expires_at=now + timedelta(hours=1),
                )
                for _ in range(tokens)
            ),
            batch_size=5000,
        )

        def revoked(delegation: object) -> None:
            with transaction.atomic():
                revocation.subtree(delegation, audit.RequestContext(), reason="benchmark")
                transaction.set_rollback(True)

        medians = interleaved(runs, few=lambda: revoked(few), many=lambda: revoked(many))
    print(f"     1 token:  {medians['few']:8.2f} ms")
    print(f"{tokens:6} tokens: {medians['many']:8.2f} ms, {medians['many'] / medians['few']:.2f} x")


if __name__ == "__main__":
    main(*(int(argument) for argument in (sys.argv[1:] + ["100000", "50"][len(sys.argv) - 1 :])))
