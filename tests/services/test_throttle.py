"""A cache that is down costs the protection, not the service."""

import pytest

from delegation_app.services import caching


class BrokenCache:
    def _fail(self, *_args, **_kwargs):
        raise ConnectionError

    get = add = incr = _fail


@pytest.mark.parametrize("secret", ["right", "wrong"])
def test_token_when_the_cache_is_down_then_answered_all_the_same(story, monkeypatch, secret):
    monkeypatch.setattr(caching, "caches", {"default": BrokenCache()})
    if secret == "wrong":
        story.world.cron.secret = "wrong"

    assert story.client_credentials().status_code == (200 if secret == "right" else 401)
