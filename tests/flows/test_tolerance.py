"""What is harmless is taken: scopes, spellings and character sets of clients that mean well."""

import pytest

from delegation_app.models import ConsentRecord, ResourceServer
from delegation_app.protocol import names
from tests.support.answers import each, nothing_stored, refusal_recorded, refused
from tests.support.world import FORM, SERVICE_A, SERVICE_B, claims_of, redirected

OPENID = "openid profile email offline_access"


@pytest.fixture
def tolerant(story):
    """Every client drops what it cannot get."""
    for app in story.world.apps.values():
        app.change(drops_unavailable_scopes=True)
    return story


# Scopes


@pytest.mark.conformance("GEN-07")
@pytest.mark.parametrize(
    ("scope", "text"),
    [
        ("offline_access", "Unknown scope: offline_access."),
        (f"{OPENID} read:metrics", "Unknown scope: email, offline_access, openid, profile."),
        ("read:metrics delete:alerts", "Scope not for this client: delete:alerts."),
    ],
)
def test_scope_when_it_cannot_be_had(story, world, scope, text):
    told = redirected(story.authorize(scope=scope))
    assert (told["error"], told["error_description"]) == ("invalid_scope", text)
    with nothing_stored(), refusal_recorded("invalid_scope"):
        device = story.start(scope=scope)
    assert device.json()["error_description"] == text
    answer = story.client_credentials(scope=scope)
    refused(answer, "invalid_scope")
    assert text == answer.json()["error_description"]


def test_scope_when_more_than_was_granted(story):
    tokens = story.tokens(scope="read:metrics")
    answer = story.refresh(tokens["refresh_token"], scope="read:metrics write:alerts")
    refused(answer, "invalid_scope")
    assert "more than was granted: write:alerts." in answer.json()["error_description"]
    answer = story.exchange(tokens["access_token"], scope="write:alerts")
    refused(answer, "invalid_scope")
    assert "client has: write:alerts." in answer.json()["error_description"]


@pytest.mark.parametrize("more", ["offline_access", OPENID, "delete:alerts nonsense"])
def test_scope_when_the_policy_drops_what_cannot_be_had(tolerant, more):
    world = tolerant.world
    scope = f"read:metrics {more}"
    tokens = tolerant.tokens(scope=scope)
    assert tokens["scope"] == "read:metrics"
    assert str(ConsentRecord.objects.get().scopes_asked) == "read:metrics"
    again = tolerant.refresh(tokens["refresh_token"], scope=scope)
    assert again.json()["scope"] == "read:metrics"
    assert tolerant.client_credentials(scope=scope).json()["scope"] == "read:metrics"
    assert tolerant.exchange(tokens["access_token"], scope=scope).json()["scope"] == "read:metrics"
    polled = tolerant.poll(tolerant.approved(scope=scope)).json()
    assert polled["scope"] == "read:metrics"
    # Each client has its own
    world.other.change(drops_unavailable_scopes=False)
    assert redirected(tolerant.authorize(world.other, scope=scope))["error"] == "invalid_scope"


def test_scope_when_nothing_of_it_can_be_had(tolerant):
    tokens = tolerant.tokens(scope=OPENID)
    assert tokens["scope"] == "read:metrics read:profile write:alerts"
    narrow = tolerant.tokens(scope="read:metrics", prompt="consent")
    # Never more than was granted
    assert tolerant.refresh(narrow["refresh_token"], scope=OPENID).json()["scope"] == "read:metrics"
    assert tolerant.client_credentials(scope=OPENID).json()["scope"] == "read:metrics write:alerts"


# A redemption that names a scope


@pytest.mark.parametrize("wanted", ["read:metrics", "read:metrics read:profile nonsense"])
def test_redemption_when_it_names_a_scope(story, wanted):
    tokens = story.redeem(story.code(), scope=wanted).json()
    assert tokens["scope"] == claims_of(tokens["access_token"])["scope"] == "read:metrics"
    # The grant is whole, as after a refresh that asks for less
    whole = story.refresh(tokens["refresh_token"]).json()
    assert whole["scope"] == "read:metrics write:alerts"
    assert story.poll(story.approved(), scope=wanted).json()["scope"] == "read:metrics"


def test_redemption_when_nothing_of_the_scope_was_granted(story):
    code, device_code = story.code(), story.approved()
    for wanted in ("read:profile", "nonsense", "é"):
        with nothing_stored():
            refused(story.redeem(code, scope=wanted), "invalid_scope")
            refused(story.poll(device_code, scope=wanted), "invalid_scope")
    assert story.redeem(code).status_code == 200
    assert story.poll(device_code).status_code == 200


# Resources


def slashed(identifier):
    return f"{identifier}/"


@pytest.mark.conformance("RI-09")
@pytest.mark.parametrize("stored", [SERVICE_A, f"{SERVICE_A}/"])
def test_resource_when_it_differs_by_the_slash_of_an_empty_path(story, stored):
    world = story.world
    ResourceServer.objects.filter(pk=world.service_a.pk).update(identifier=stored)
    other = SERVICE_A if stored.endswith("/") else slashed(SERVICE_A)
    code = story.code(resource=other)
    tokens = story.redeem(code, resource=other).json()
    assert claims_of(tokens["access_token"])["aud"] == stored
    again = story.refresh(tokens["refresh_token"], resource=other).json()
    assert claims_of(again["access_token"])["aud"] == stored
    own = story.client_credentials(resource=other).json()
    assert claims_of(own["access_token"])["aud"] == stored
    both = story.client_credentials(resource=[other, stored]).json()
    assert claims_of(both["access_token"])["aud"] == stored
    polled = story.poll(story.approved(resource=other), resource=other).json()
    assert claims_of(polled["access_token"])["aud"] == stored


@pytest.mark.parametrize("name", ["resource", "audience"])
def test_target_when_it_differs_by_the_slash(story, name):
    first = story.tokens()["access_token"]
    answer = story.exchange(first, **{name: slashed(SERVICE_B)}).json()
    assert claims_of(answer["access_token"])["aud"] == SERVICE_B


@pytest.mark.conformance("RI-09")
def test_resource_when_more_than_the_slash_differs(story):
    for resource in [
        f"{SERVICE_A}//", f"{SERVICE_A}/x", f"{SERVICE_A}/?", f"{SERVICE_A}?", f"{SERVICE_A}:443",
        f"{SERVICE_A}:443/", SERVICE_A.upper(), SERVICE_A.replace("https", "http") + "/",
    ]:  # fmt: skip
        with each(resource):
            refused(story.client_credentials(resource=resource), "invalid_target")


@pytest.mark.parametrize("active", [True, False])
def test_resource_when_another_server_has_that_spelling(story, active):
    ResourceServer.objects.create(
        identifier=slashed(SERVICE_A), name="A/", scopes="read:metrics", active=active
    )
    refused(story.client_credentials(resource=slashed(SERVICE_A)), "invalid_target")
    code = story.code(resource=SERVICE_A)
    refused(story.redeem(code, resource=slashed(SERVICE_A)), "invalid_target")


# Character sets


@pytest.mark.conformance("GEN-09")
def test_charset_when_the_form_is_ascii(story):
    for charset in [
        "utf-8", "UTF8", "utf8", '"utf-8"', "us-ascii", "ISO-8859-1", "latin1", "Windows-1252",
    ]:  # fmt: skip
        with each(charset):
            body = "grant_type=client_credentials&scope=read%3Ametrics"
            answer = story.wire.post(
                "/oauth/token",
                body,
                content_type=f"{FORM}; charset={charset}",
                HTTP_AUTHORIZATION=story.world.cron.basic(),
            )
            assert answer.status_code == 200, answer.content


@pytest.mark.conformance("GEN-09")
def test_charset_when_the_form_is_not_ascii(story):
    for value in ["%E9", "%C3%A9", "%80", "+AOk-%FF"]:
        for charset in ["us-ascii", "ISO-8859-1", "windows-1252"]:
            with each((value, charset)):
                for body in (f"grant_type=client_credentials&x={value}", f"grant_type=x&{value}=1"):
                    with nothing_stored():
                        answer = story.wire.post(
                            "/oauth/token", body, content_type=f"{FORM}; charset={charset}"
                        )
                    refused(answer, "invalid_request")


# Client authentication


@pytest.mark.conformance("RV-02")
def test_public_client_when_it_sends_an_empty_password(story, world):
    world.mobile.secret = ""
    tokens = story.redeem(story.code(world.mobile), world.mobile)
    assert tokens.status_code == 200
    assert story.refresh(tokens.json()["refresh_token"], world.mobile).status_code == 200
    assert story.revoke(tokens.json()["access_token"], world.mobile).status_code == 200


def test_confidential_client_when_it_sends_an_empty_password(story, world):
    world.cron.change(token_endpoint_auth_method=names.NONE)
    for secret in ("", " "):
        world.cron.secret = secret
        refused(story.client_credentials(), "invalid_client", 401)
