"""A secret that a caller puts in the wrong place stands neither in the log nor in a table."""

import base64
import io
from urllib.parse import quote, quote_plus, urlencode

import pytest
from django.apps import apps

from delegation_app.models import AuditEvent, PendingRequest
from delegation_app.protocol import names
from delegation_app.protocol.secrets import hint
from tests.support.answers import refused
from tests.support.world import FORM, SERVICE_A, SERVICE_B, VERIFIER, App

pytestmark = pytest.mark.any_database

KINDS = (
    "client secret", "typed secret", "code", "verifier", "access token", "opaque token",
    "refresh token", "device code", "user code", "spaced user code", "dotted user code",
    "base64 secret",
)  # fmt: skip

FORMS = {
    "/oauth/token": [
        "grant_type", "code", "code_verifier", "redirect_uri", "refresh_token", "scope", "resource",
        "audience", "subject_token_type", "requested_token_type", "constraints", "device_code",
        "client_id", "client_secret", "state",
    ],
    "/oauth/exchange": ["grant_type", "subject_token_type", "actor_token_type", "audience"],
    "/oauth/revoke": ["token", "token_type_hint", "client_id", "scope"],
    "/oauth/introspect": ["token", "token_type_hint", "client_id", "resource"],
    "/oauth/device_authorization": ["scope", "resource", "client_id", "prompt", "request"],
}  # fmt: skip
# A challenge is stored for its code, whatever it is
AUTHORIZE = (
    "client_id", "response_type", "redirect_uri", "scope", "resource", "prompt", "max_age",
    "code_challenge_method", "constraints", "request", "response_mode",
)  # fmt: skip
GOOD = {
    "refresh_token": {"refresh_token": "x"},
    "authorization_code": {"code": "x", "code_verifier": VERIFIER},
    "client_credentials": {},
    names.TOKEN_EXCHANGE: {
        "subject_token": "x",
        "subject_token_type": names.ACCESS_TOKEN,
        "audience": SERVICE_B,
    },
}


@pytest.fixture(autouse=True)
def _every_refusal_is_a_row(settings):
    settings.DELEGATION = {
        **settings.DELEGATION,
        "REFUSAL_EVENTS_PER_MINUTE": 10_000,
        "REFUSAL_EVENTS_PER_MINUTE_TOTAL": 10_000,
        "FAILED_AUTHENTICATIONS_PER_MINUTE": 10_000,
    }


@pytest.fixture
def on_record(caplog):
    """What this package wrote into its log and into any table since.

    Not what a page waits with: to go on with a request it is kept for minutes as it was sent.
    """
    caplog.set_level("DEBUG", logger="delegation_app")

    def read():
        found = io.StringIO()
        lines = [one for one in caplog.records if one.name.startswith("delegation_app")]
        found.writelines(f"{one.getMessage()} {one.exc_text or ''}\n" for one in lines)
        for model in set(apps.get_app_config("delegation_app").get_models()) - {PendingRequest}:
            rows = model._base_manager.values()
            found.writelines(f"{model.__name__} {row!r}\n" for row in rows)
        return found.getvalue()

    return read


def secret_of(story, kind):
    service = story.world.service_a
    if kind == "opaque token":
        type(service).objects.filter(pk=service.pk).update(token_format="opaque")
    makers = {
        "client secret": lambda: "Zb6nJq3vT1sXw9LrYk0cPfDhGm2aUe8QoVi5RtNxKzA",
        "typed secret": lambda: story.world.web.secret,
        "code": story.code,
        "verifier": lambda: VERIFIER,
        "refresh token": lambda: story.tokens()["refresh_token"],
        "device code": lambda: story.start().json()["device_code"],
        "user code": lambda: story.start().json()["user_code"],
        "spaced user code": lambda: story.start().json()["user_code"].replace("-", " "),
        "dotted user code": lambda: story.start().json()["user_code"].replace("-", "."),
        "base64 secret": lambda: "Zk3+9dQ/x7Lm2Rt/Vw8Yp+Nc4Hb/Ke6Ts1+Gf5Ja/Xu0==",
    }
    return makers[kind]() if kind in makers else story.tokens()["access_token"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", FORMS)
def test_form_when_a_secret_stands_in_any_parameter(story, world, on_record, path, kind):
    secret = secret_of(story, kind)
    for name in FORMS[path]:
        for grant_type, others in GOOD.items():
            data = {"grant_type": grant_type, **others, name: secret}
            for app in (world.web, world.service_a_client, None):
                story.post(path, data, app)
    story.post(path, {secret: "x", "grant_type": "x"}, world.web)
    story.post(path, {secret: ["x", "x"], "grant_type": "x"}, world.web)
    headers = dict.fromkeys(("HTTP_USER_AGENT", "HTTP_DPOP", "HTTP_X_REQUEST_ID"), secret)
    story.post(path, {"x": secret}, world.web, **headers)
    assert secret not in on_record()
    if "user code" in kind:
        # So few bits that its digest names it
        assert hint(secret) not in on_record()


@pytest.mark.parametrize("kind", KINDS)
def test_authorization_when_a_secret_stands_in_any_parameter(story, on_record, kind):
    secret = secret_of(story, kind)
    for name in AUTHORIZE:
        for prompt in (None, "none"):
            story.authorize(**{"prompt": prompt, name: secret})
    story.authorize(**{secret: "x"})
    story.browser.get(f"/oauth/device?user_code={quote(secret)}&{quote(secret)}=1")
    story.browser.get(f"/connections/?{quote(secret)}={quote(secret)}")
    story.browser.get(f"/connections/api/?{quote(secret)}={quote(secret)}")
    assert secret not in on_record()


@pytest.mark.parametrize("kind", ["client secret", "typed secret", "refresh token"])
def test_client_when_id_and_secret_are_swapped(story, world, on_record, kind):
    secret = secret_of(story, kind)
    pair = base64.b64encode(f"{quote_plus(secret)}:web".encode()).decode()
    basic = {"HTTP_AUTHORIZATION": f"Basic {pair}"}
    for data, headers in (({}, basic), ({"client_id": secret, "client_secret": "web"}, {})):
        answer = story.post("/oauth/token", {"grant_type": "x", **data}, **headers)
        refused(answer, "invalid_client", 401)
        assert AuditEvent.objects.latest("pk").client_id_value == f"[masked {hint(secret)}]"
    assert secret not in on_record()


def test_client_when_its_id_looks_like_a_secret(story, world):
    made = "q8Zr2LkT0vXyN5bJw7GfHc3DsPm9AaUe4RiQoVt1"
    type(world.web.row).objects.filter(pk=world.web.row.pk).update(client_id=made)
    world.web.row.refresh_from_db()
    refused(story.token(App(world.web.row, "wrong"), grant_type="x"), "invalid_client", 401)
    assert AuditEvent.objects.latest("pk").client_id_value == made


def test_client_when_its_short_name_is_misspelt(story):
    refused(story.post("/oauth/token", {"client_id": "wbe"}), "invalid_client", 401)
    assert AuditEvent.objects.latest("pk").client_id_value == "wbe"


def test_scope_when_unknown(story):
    story.client_credentials(scope="delete:everything")
    assert AuditEvent.objects.latest("pk").details["detail"] == "Unknown scope: delete:everything."
    story.client_credentials(resource=f"{SERVICE_A}/typo")
    assert AuditEvent.objects.latest("pk").details["detail"].startswith(f"{SERVICE_A}/typo is not")


@pytest.mark.parametrize("kept", range(6, 43, 4))
def test_text_when_it_is_cut_inside_of_a_secret(story, world, on_record, kept):
    secret = story.tokens()["refresh_token"]
    for longest in (40, 64, 120, 200, 255):
        # A list of names, a name by itself, and an address that a proxy has forwarded
        text = "!" * (longest - kept - 2)
        story.client_credentials(scope=f"{text} {secret}")
        name = f"{'.' * (longest - kept)}{secret}"
        story.client_credentials(scope=name)
        story.post("/oauth/token", {name: ["x", "x"]}, world.web)
        story.wire.post("/oauth/token", {"x": "y"}, HTTP_X_FORWARDED_FOR=name, HTTP_FORWARDED=name)
        story.browser.get(f"/connections/api/?{quote(name)}=1")
    assert secret[:6] not in on_record()


@pytest.mark.parametrize(
    "sent", ["from-the-proxy-1", "1b4e28ba-2fa1-41d2-883f-0016d3cca427", "0123456789abcdef" * 2]
)
def test_log_when_a_proxy_names_the_request(story, on_record, sent):
    story.post("/oauth/token", {"grant_type": "x"}, story.world.web, HTTP_X_REQUEST_ID=sent)
    assert f"(X-Request-Id {sent})" in on_record()


def test_retry_when_its_user_agent_is_a_secret(story, on_record):
    first = story.tokens()["refresh_token"]
    data = {"grant_type": "refresh_token", "refresh_token": first}
    for _ in range(2):
        story.post("/oauth/token", data, story.world.web, HTTP_USER_AGENT=f"agent {first}")
    event = AuditEvent.objects.get(event="token.refresh_retried")
    assert event.details["user_agent"] == f"agent [masked {hint(first)}]"
    assert first not in on_record()


def test_query_when_a_form_is_sent_in_it(story, world, on_record):
    secret = secret_of(story, "client secret")
    query = urlencode({"client_secret": secret, "refresh_token": secret})
    story.wire.post(f"/oauth/token?{query}", "grant_type=x", content_type=FORM)
    story.wire.get(f"/oauth/token?{query}")
    assert secret not in on_record()
