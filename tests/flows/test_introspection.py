"""Asking about tokens: RFC 7662."""

import pytest
from django.test import override_settings

from delegation_app.models import AccessToken, Delegation
from delegation_app.services.audit import RequestContext
from delegation_app.services.consent import approval
from delegation_app.services.delegations import revocation
from tests.support.answers import never_stored, nothing_stored, recorded, refusal_recorded, refused
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of

INACTIVE = b'{"active": false}'


def inactive(response):
    """Check that the answer says nothing but no."""
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    never_stored(response)
    assert response.content == INACTIVE


@pytest.mark.conformance("IN-01", "GEN-14")
def test_caller_when_anonymous_then_401_with_a_challenge(story):
    token = story.tokens()["access_token"]
    with refusal_recorded("invalid_client"):
        response = story.post("/oauth/introspect", {"token": token})
    refused(response, "invalid_client", 401)
    assert response["WWW-Authenticate"].startswith('Basic realm="')


@pytest.mark.conformance("IN-01")
def test_caller_when_it_knows_only_a_client_id_then_401(story, world):
    token = story.tokens()["access_token"]
    for app in (world.service_a_client, world.operator_tool, world.web):
        with refusal_recorded("invalid_client"):
            response = story.post("/oauth/introspect", {"token": token, "client_id": app.client_id})
        refused(response, "invalid_client", 401)


@pytest.mark.conformance("IN-02")
@pytest.mark.parametrize("authorization", ["Bearer {token}", "Bearer x", "Basic !!!", "DPoP x"])
def test_caller_when_its_credentials_are_of_another_kind_then_401(story, authorization):
    token = story.tokens()["access_token"]
    with refusal_recorded("invalid_client"):
        response = story.post(
            "/oauth/introspect",
            {"token": token},
            HTTP_AUTHORIZATION=authorization.format(token=token),
        )
    refused(response, "invalid_client", 401)


@pytest.mark.conformance("IN-03", "IN-06", "IN-10")
def test_access_token_when_active_then_the_answer_equals_its_claims(story, world):
    answer = story.tokens()
    with recorded():
        response = story.introspect(answer["access_token"])
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    never_stored(response)
    told, claims = response.json(), claims_of(answer["access_token"])
    assert told.pop("active") is True
    assert told.pop("token_type") == "Bearer"
    for name in ("auth_time", "acr", "status"):
        del claims[name]
    assert told == claims
    assert told["scope"] == "read:metrics write:alerts"
    assert told["client_id"] == "web"
    assert told["sub"] == f"user:{world.alice.pk}"
    assert told["aud"] == SERVICE_A
    assert told["iss"] == "https://as.example.com"
    assert told["exp"] - told["iat"] == 600
    assert told["nbf"] == told["iat"]
    assert told["delegation_id"] == str(delegation_of(answer).public_id)


@pytest.mark.conformance("IN-03", "IN-06")
def test_opaque_token_when_active_then_the_answer_is_complete_too(story, world):
    world.service_a.token_format = "opaque"
    world.service_a.save()
    told = story.introspect(story.tokens()["access_token"]).json()
    row = AccessToken.objects.get()
    assert told == {
        "active": True,
        "token_type": "Bearer",
        "jti": row.jti,
        "iss": "https://as.example.com",
        "sub": f"user:{world.alice.pk}",
        "aud": SERVICE_A,
        "client_id": "web",
        "scope": "read:metrics write:alerts",
        "iat": int(row.issued_at.timestamp()),
        "nbf": int(row.issued_at.timestamp()),
        "exp": int(row.expires_at.timestamp()),
        "delegation_id": str(row.delegation.public_id),
    }


@pytest.mark.conformance("IN-03")
def test_refresh_token_when_its_own_client_asks_then_it_is_active(story, world):
    told = story.introspect(story.tokens()["refresh_token"], world.web).json()
    assert told["active"] is True
    assert told["client_id"] == "web"
    # It is nobody's to present at a resource.
    assert "token_type" not in told


@pytest.mark.conformance("IN-04")
@pytest.mark.parametrize(
    "token",
    ["unknown", "a" * 43, "a" * 54, "a.b.c", "....", "é", "[]", "null", "a" * 60_000, "a b"],
)
@pytest.mark.parametrize("caller", ["service_a_client", "operator_tool", "web"])
def test_token_when_unknown_or_malformed_then_only_inactive(story, world, token, caller):
    with nothing_stored(), recorded():
        response = story.introspect(token, world.apps[caller])
    inactive(response)


@pytest.mark.conformance("IN-04", "IN-09")
@pytest.mark.parametrize("caller", ["service_b_client", "other", "cron"])
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_token_when_it_is_none_of_the_callers_business_then_only_inactive(
    story, world, caller, kind
):
    token = story.tokens()[kind]
    with nothing_stored(), recorded():
        response = story.introspect(token, world.apps[caller])
    inactive(response)


@pytest.mark.conformance("IN-04")
def test_refresh_token_when_a_resource_server_asks_then_only_inactive(story, world):
    inactive(story.introspect(story.tokens()["refresh_token"], world.service_a_client))


@pytest.mark.conformance("IN-04")
def test_code_when_somebody_asks_about_it_then_only_inactive(story, world):
    code = story.code()
    for app in (world.web, world.operator_tool, world.service_a_client):
        inactive(story.introspect(code, app))


@pytest.mark.conformance("IN-04", "IN-05")
def test_token_when_it_has_expired_then_only_inactive(story, world, clock):
    tokens = story.tokens()
    clock.forward(seconds=600)
    inactive(story.introspect(tokens["access_token"]))
    assert story.is_active(tokens["refresh_token"], world.web)
    clock.forward(days=30)
    inactive(story.introspect(tokens["refresh_token"], world.web))


@pytest.mark.conformance("IN-04", "IN-05")
def test_refresh_token_when_it_was_rotated_then_only_inactive(story, world):
    first = story.tokens()
    story.refresh(first["refresh_token"])
    inactive(story.introspect(first["refresh_token"], world.web))
    assert story.is_active(first["access_token"])


def _revoke(world):
    revocation.subtree(Delegation.objects.get(), RequestContext("user:7"), reason="operator")


def _withdraw(world):
    approval.withdraw(
        Delegation.objects.get().consent, RequestContext("user:7"), reason="withdrawn"
    )


def _deactivate(world):
    world.alice.is_active = False
    world.alice.save()


def _delete_user(world):
    world.alice.delete()


def _disable_client(world):
    # The one that holds the token; the caller is another.
    world.web.change(enabled=False)


def _delete_client(world):
    world.web.row.delete()


def _close_service(world):
    world.service_a.active = False
    world.service_a.save()


def _take_scopes(world):
    world.web.change(scopes="read:profile")


def _take_scopes_of_service(world):
    world.service_a.scopes = "read:profile"
    world.service_a.save()


def _take_audience(world):
    world.web.policy.audiences.set([world.service_b])


def _expire_delegation(world):
    row = Delegation.objects.get()
    Delegation.objects.update(expires_at=row.issued_at.replace(microsecond=999_999))


@pytest.mark.conformance("IN-05")
@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
@pytest.mark.parametrize(
    "end",
    [
        _revoke,
        _withdraw,
        _deactivate,
        _delete_user,
        _disable_client,
        _delete_client,
        _close_service,
        _take_scopes,
        _take_scopes_of_service,
        _take_audience,
        _expire_delegation,
    ],
)
def test_token_when_what_it_stands_on_is_gone_then_only_inactive(
    story, world, clock, end, token_format
):
    world.service_a.token_format = token_format
    world.service_a.save()
    token = story.tokens()["access_token"]
    assert story.is_active(token)
    end(world)
    clock.forward(seconds=5)
    inactive(story.introspect(token))
    inactive(story.introspect(token, world.operator_tool))


@pytest.mark.conformance("IN-05")
def test_token_when_an_ancestor_is_revoked_then_only_inactive(story, world):
    token = story.tokens()["access_token"]
    top = delegation_of({"access_token": token})
    child = Delegation.objects.create(
        parent=top,
        principal_user=world.alice,
        subject=top.subject,
        delegate=world.web.row,
        delegate_client_id="web",
        scopes=top.scopes,
        audience=top.audience,
        grant_type=top.grant_type,
        terms_digest=top.terms_digest,
        issued_at=top.issued_at,
        expires_at=top.expires_at,
    )
    AccessToken.objects.update(delegation=child)
    assert story.is_active(token)
    assert revocation.subtree(top, RequestContext("user:7"), reason="operator") == 2
    inactive(story.introspect(token))


@pytest.mark.conformance("IN-05")
def test_token_when_its_signature_is_not_ours_then_only_inactive(story):
    token = story.tokens()["access_token"]
    header, payload, signature = token.split(".")
    flipped = signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
    for forged in (
        f"{header}.{payload}.{flipped}",
        f"{header}.{payload}.",
        f"{header}.{payload[:-1]}.{signature}",
        f"{token}=",
        f" {token}",
        f"{token}\n",
        token.swapcase(),
    ):
        inactive(story.introspect(forged))
    assert story.is_active(token)


@pytest.mark.conformance("IN-05")
def test_token_when_it_names_another_issuer_then_only_inactive(story):
    token = story.tokens()["access_token"]
    with override_settings(DELEGATION={"ISSUER": "https://as.example.com/"}):
        inactive(story.introspect(token))


@pytest.mark.conformance("IN-05")
def test_token_when_it_is_not_valid_yet_then_only_inactive(story, clock):
    clock.forward(seconds=60)
    token = story.tokens()["access_token"]
    clock.forward(seconds=-60)
    inactive(story.introspect(token))


@pytest.mark.conformance("IN-08")
@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "foo", "é"])
def test_hint_when_wrong_or_unknown_then_the_token_is_still_found(story, world, kind, hint):
    token = story.tokens()[kind]
    told = story.introspect(token, world.web, token_type_hint=hint).json()
    assert told["active"] is True


@pytest.mark.conformance("IN-09")
def test_scope_when_a_resource_server_asks_then_it_hears_only_of_its_own(story, world):
    world.service_b.scopes = "write:alerts"
    world.service_b.save()
    token = story.tokens(
        scope="read:metrics write:alerts read:profile", resource=[SERVICE_A, SERVICE_B]
    )["access_token"]
    told_a = story.introspect(token, world.service_a_client).json()
    told_b = story.introspect(token, world.service_b_client).json()
    told_own = story.introspect(token, world.web).json()
    assert told_a["scope"] == "read:metrics read:profile write:alerts"
    assert told_b["scope"] == "write:alerts"
    assert told_own["scope"] == "read:metrics read:profile write:alerts"


@pytest.mark.conformance("IN-10")
def test_answer_when_active_or_not_then_nobody_may_store_it(story):
    never_stored(story.introspect(story.tokens()["access_token"]))
    never_stored(story.introspect("unknown"))


def test_members_when_a_resource_server_asks_then_there_is_nothing_about_consent_or_tree(
    story, world
):
    token = story.tokens()["access_token"]
    for caller in (world.service_a_client, world.operator_tool, world.web):
        told = story.introspect(token, caller).json()
        # delegation_id is told to everybody by decision of the issue; the token says it too.
        assert not {"parent", "root", "path", "consent", "constraints", "metadata"} & told.keys()


@pytest.mark.conformance("IN-14")
def test_token_when_missing_then_invalid_request(story, world):
    for token in (None, ""):
        with refusal_recorded("invalid_request", client_id_value="service-a"):
            refused(story.introspect(token, foo="bar"), "invalid_request")


@pytest.mark.conformance("IN-14")
def test_token_when_sent_by_get_then_405(story, world):
    token = story.tokens()["access_token"]
    response = story.wire.get(
        f"/oauth/introspect?token={token}",
        HTTP_AUTHORIZATION=world.service_a_client.basic(),
    )
    refused(response, "invalid_request", 405)
    assert "POST" in response["Allow"].split(", ")


def test_last_use_when_a_resource_server_asks_then_it_is_noted_at_most_once_a_minute(
    story, world, clock
):
    tokens = story.tokens()
    story.introspect(tokens["access_token"], world.web)
    # Its issue is on record, and no presentation
    assert Delegation.objects.unpresented().exists()
    story.introspect(tokens["access_token"])
    noted = delegation_of(tokens).last_used_at
    assert noted == clock.time
    clock.forward(seconds=60)
    story.introspect(tokens["access_token"])
    assert delegation_of(tokens).last_used_at == noted
    clock.forward(seconds=1)
    story.introspect(tokens["access_token"])
    assert delegation_of(tokens).last_used_at == clock.time
