"""What a site is for, from the first token to the revocation, in a process of the site.

It is imported in the process of the site, once Django is set up there.
"""

import logging
from urllib.parse import urlencode

from django.contrib.auth import get_user_model
from django.test.utils import setup_test_environment
from django.urls import get_script_prefix, reverse

from delegation_app.conf import conf
from delegation_app.endpoint_urls import endpoint
from delegation_app.models import Delegation
from tests.support import SecureClient
from tests.support.world import FORM, Story, build_world, redirected

WELL_KNOWN = "/.well-known/oauth-authorization-server"


def steps():
    """Return what each step was answered, by its name."""
    setup_test_environment()
    # What is refused on purpose is no news; what fails is shown by its status
    logging.getLogger("django.request").setLevel(logging.CRITICAL)
    return dict(_steps())


def _steps():
    world = build_world()
    story = Story(world, world.alice)
    story.browser, story.wire = _client(), _client()
    story.browser.force_login(world.alice)
    yield from _documents(story)
    yield from _tokens(story)
    yield from _pages(story)
    yield from _console(world)


def _documents(story):
    yield "metadata", story.wire.get(WELL_KNOWN).status_code
    yield "jwks", story.wire.get("/oauth/jwks").status_code
    yield "statuses", story.wire.get("/oauth/status").status_code


def _tokens(story):
    page = story.authorize()
    yield "question", page.status_code
    allowed = story.answer(page)
    yield "answer", allowed.status_code
    redeemed = story.redeem(redirected(allowed)["code"])
    yield "code", redeemed.status_code
    tokens = redeemed.json()
    yield "refresh", story.refresh(tokens["refresh_token"]).status_code
    yield "exchange", story.exchange(tokens["access_token"]).status_code
    own = story.client_credentials()
    yield "client credentials", own.status_code
    started = story.start()
    yield "device", started.status_code
    done = story.connect(story.enter(started.json()["user_code"]))
    yield "device page", done.status_code
    yield "poll", story.poll(started.json()["device_code"]).status_code
    before = story.introspect(own.json()["access_token"])
    revoked = story.revoke(own.json()["access_token"], story.world.cron)
    after = story.introspect(own.json()["access_token"])
    yield "introspect", [_active(before), _active(after)]
    yield "revoke", revoked.status_code
    yield "no client", story.post("/oauth/token", {"grant_type": "refresh_token"}).status_code


def _pages(story):
    anonymous = _client()
    yield "connections", story.browser.get("/connections/").status_code
    yield "connections as JSON", story.browser.get("/connections/api/").status_code
    nobody = anonymous.get("/connections/")
    yield "connections of nobody", [nobody.status_code, nobody["Location"].split("?")[0]]
    yield "connections of nobody as JSON", anonymous.get("/connections/api/").status_code
    end = story.browser.get("/connections/end")
    form = {"person": end.context["mark"], "reason": ""}
    ended = story.browser.post("/connections/end", urlencode(form), content_type=FORM)
    yield "end", ended.status_code


def _console(world):
    boss = get_user_model().objects.create_superuser("boss", password="x")
    console = _client()
    console.force_login(boss)
    own = Delegation.objects.filter(delegate=world.cron.row).latest("pk")
    deeds = {
        "admin revoke": reverse("admin:delegation_app_delegation_revoke", args=[own.pk]),
        "admin rotate": reverse("admin:delegation_app_signingkey_rotate"),
    }
    for name, address in deeds.items():
        done = console.post(address, {"reason": "for a test", "force": "on"})
        yield name, done.status_code
    yield "admin", console.get(reverse("admin:index")).status_code
    yield "operator as JSON", console.get("/delegations/api/").status_code


def _active(response):
    return response.json()["active"] if response.status_code == 200 else response.status_code


def _client():
    """A browser or an app that knows where the site has mounted the endpoints."""
    script = get_script_prefix().rstrip("/")
    token = endpoint("token").removeprefix(conf.issuer_origin)
    mount = token.removeprefix(script).removesuffix("/oauth/token")

    class Client(SecureClient):
        def generic(self, method, path, *args, **kwargs):
            ours = path.startswith(("/oauth/", "/connections/", "/delegations/"))
            inside = mount + path if ours else path.removeprefix(script)
            return super().generic(method, inside, *args, **kwargs)

    return Client(raise_request_exception=False)
