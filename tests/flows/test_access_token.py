"""The access token as a resource server sees it: read with PyJWT and the published keys alone."""

import ast
import re
from pathlib import Path

import jwt
import pytest

import delegation_app
from delegation_app.models import AccessToken, ResourceServer
from delegation_app.protocol import jose
from tests.support.world import SERVICE_A, SERVICE_B, claims_of, delegation_of, make_app

ISSUER = "https://as.example.com"
USER_GRANTS = ["authorization_code", "refresh_token"]
GRANTS = [*USER_GRANTS, "client_credentials"]


def token_by(story, grant_type):
    """A token response of each grant."""
    if grant_type == "client_credentials":
        return story.client_credentials().json()
    tokens = story.tokens()
    if grant_type == "refresh_token":
        return story.refresh(tokens["refresh_token"]).json()
    return tokens


def verified(story, token, audience=SERVICE_A):
    """Verify as somebody who knows the metadata, the keys and PyJWT, and nothing of us."""
    metadata = story.wire.get("/.well-known/oauth-authorization-server").json()
    keys = jwt.PyJWKSet.from_dict(story.wire.get("/oauth/jwks").json())
    header = jwt.get_unverified_header(token)
    key = keys[header["kid"]]
    return jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        audience=audience,
        issuer=metadata["issuer"],
        options={"require": ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]},
    )


@pytest.mark.conformance("AT-01", "AT-02", "AT-03", "AT-04", "AT-09", "OT-09")
@pytest.mark.parametrize("grant_type", GRANTS)
def test_token_when_issued_by_any_grant(story, grant_type):
    answer = token_by(story, grant_type)
    token = answer["access_token"]
    header = jwt.get_unverified_header(token)
    assert set(header) == {"alg", "typ", "kid"}
    assert (header["alg"], header["typ"]) == ("ES256", "at+jwt")
    claims = verified(story, token)
    app = "cron" if grant_type == "client_credentials" else "web"
    assert claims["iss"] == ISSUER
    assert claims["client_id"] == app
    assert claims["aud"] == SERVICE_A
    assert claims["nbf"] == claims["iat"]
    assert claims["exp"] - claims["iat"] == answer["expires_in"] == 600
    assert claims["delegation_id"] == str(delegation_of(answer).public_id)
    assert answer["token_type"] == "Bearer"
    extra = {"auth_time", "acr"} if grant_type in USER_GRANTS else set()
    assert set(claims) == extra | {
        "iss", "sub", "aud", "client_id", "scope", "jti", "delegation_id", "iat", "nbf", "exp",
        "status",
    }  # fmt: skip
    for name in ("iat", "nbf", "exp", *sorted(extra - {"acr"})):
        assert type(claims[name]) is int


@pytest.mark.conformance("AT-05", "AT-12", "CC-04")
def test_subject_when_a_person_or_a_client_acts(story):
    # A client that would like to be the user with the key 1
    mimic = make_app(
        f"user:{story.world.alice.pk}",
        grants=["client_credentials"],
        audiences=[story.world.service_a],
    )
    person = claims_of(story.tokens()["access_token"])
    alone = claims_of(story.client_credentials(mimic).json()["access_token"])
    assert person["sub"] == f"user:{story.world.alice.pk}"
    assert alone["sub"] == f"client:user:{story.world.alice.pk}"
    assert alone["client_id"] == mimic.client_id


@pytest.mark.conformance("AT-12")
def test_subject_when_a_request_names_one(story):
    wish = {
        "sub": "user:1", "username": "bob", "user_id": "1", "act": "x", "aud": "https://x.example",
        "iss": "https://x.example", "exp": "9", "jti": "mine", "delegation_id": "mine",
    }  # fmt: skip
    claims = verified(story, story.client_credentials(**wish).json()["access_token"])
    assert claims["sub"] == "client:cron"
    code = story.code(**wish)
    claims = verified(story, story.redeem(code, **wish).json()["access_token"])
    assert claims["sub"] == f"user:{story.world.alice.pk}"


@pytest.mark.conformance("AT-06", "BC-02")
def test_audience_when_a_resource_is_named(story):
    claims = claims_of(story.tokens(resource=SERVICE_B)["access_token"])
    assert claims["aud"] == SERVICE_B
    tokens = story.tokens(resource=[SERVICE_B, SERVICE_A], prompt="consent")
    assert claims_of(tokens["access_token"])["aud"] == [SERVICE_A, SERVICE_B]
    narrowed = story.refresh(tokens["refresh_token"], resource=SERVICE_B).json()
    assert claims_of(narrowed["access_token"])["aud"] == SERVICE_B
    with pytest.raises(jwt.InvalidAudienceError):
        verified(story, narrowed["access_token"], audience=SERVICE_A)


@pytest.mark.conformance("AT-07")
def test_audience_when_there_is_no_default(story):
    world = story.world
    world.cron.policy.audiences.set([world.service_a, world.service_b])
    assert story.client_credentials().json()["error"] == "invalid_target"
    world.cron.policy.audiences.set([])
    assert story.client_credentials().json()["error"] == "invalid_target"
    assert AccessToken.objects.count() == 0


@pytest.mark.conformance("AT-13")
def test_typ_when_everything_that_is_signed_is_collected(story, monkeypatch):
    types, sign = [], jose.sign

    def recorded(claims, identity, *, typ):
        types.append(typ)
        return sign(claims, identity, typ=typ)

    monkeypatch.setattr(jose, "sign", recorded)
    for grant_type in GRANTS:
        token_by(story, grant_type)
    story.introspect(story.client_credentials().json()["access_token"])
    assert set(types) == {"at+jwt"}
    # No other place signs: a second kind of JWT would need a second call
    calls = [
        f"{path.name}:{node.lineno}"
        for path in Path(delegation_app.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"jose.sign", "jwt.encode"}
    ]
    modules = sorted(re.sub(r":\d+", "", call) for call in calls)
    assert set(modules) == {"fake_issuer.py", "issuing.py", "jose.py", "publication.py"}


@pytest.mark.conformance("AT-15")
def test_lifetime_when_the_delegation_ends_sooner(story, clock):
    story.world.web.change(delegation_lifetime=120)
    answer = story.tokens()
    claims = claims_of(answer["access_token"])
    assert answer["expires_in"] == claims["exp"] - claims["iat"] == 120
    assert claims["exp"] == int(delegation_of(answer).expires_at.timestamp())
    clock.forward(seconds=50)
    again = story.refresh(answer["refresh_token"]).json()
    assert again["expires_in"] == 70
    assert claims_of(again["access_token"])["exp"] == claims["exp"]


def test_token_when_the_service_wants_opaque_ones(story):
    ResourceServer.objects.filter(identifier=SERVICE_A).update(token_format="opaque")
    tokens = story.tokens()
    assert re.fullmatch(r"[A-Za-z0-9_-]{54}", tokens["access_token"])
    told = story.introspect(tokens["access_token"]).json()
    assert (told["active"], told["aud"]) == (True, SERVICE_A)
    row = AccessToken.objects.get()
    assert tokens["access_token"] not in {row.digest, row.jti}
    # What is stored is no token
    for stored in (row.digest, row.jti):
        assert not story.is_active(stored)


@pytest.mark.conformance("AT-14")
def test_jti_when_many_tokens_are_issued(story):
    tokens = [story.client_credentials().json()["access_token"] for _ in range(50)]
    ids = {claims_of(token)["jti"] for token in tokens}
    assert len(ids) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{27}", token_id) for token_id in ids)
    rows = AccessToken.objects.filter(jti__in=ids)
    assert rows.count() == 50
    # One standing delegation per terms: tokens are views of it
    assert {str(row.delegation.public_id) for row in rows} == {
        claims_of(token)["delegation_id"] for token in tokens
    }
    assert len({row.delegation_id for row in rows}) == 1
