"""The story that everything else is a variation of."""

from delegation_app.models import AuditEvent
from tests.support.world import redirected


def test_story_when_refresh_token_is_revoked_then_everything_under_the_delegation_is_dead(story):
    answer = redirected(story.answer(story.authorize()))
    assert answer["state"] == "af0ifjsldkj"
    assert answer["iss"] == "https://as.example.com"
    tokens = story.redeem(answer["code"]).json()
    assert story.is_active(tokens["access_token"])
    tokens = story.refresh(tokens["refresh_token"]).json()
    assert story.is_active(tokens["access_token"])

    assert story.revoke(tokens["refresh_token"]).status_code == 200

    assert story.introspect(tokens["access_token"]).json() == {"active": False}
    assert story.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert list(AuditEvent.objects.order_by("id").values_list("event", flat=True)) == [
        "consent.granted",
        "delegation.created",
        "code.issued",
        "key.created",
        "key.created",
        "token.issued",
        "token.refreshed",
        "delegation.revoked",
        "request.refused",
    ]
