"""What the server says of itself, and that no request changes it."""

import json
from urllib.parse import urlsplit

import pytest

from tests.support.answers import each
from tests.support.world import claims_of, redirected

pytestmark = pytest.mark.any_database

WELL_KNOWN = "/.well-known/oauth-authorization-server"
ISSUER = "https://as.example.com"
FORGED = {
    "HTTP_HOST": "evil.example",
    "HTTP_X_FORWARDED_HOST": "evil.example",
    "HTTP_X_FORWARDED_PROTO": "http",
    "HTTP_X_FORWARDED_PORT": "8080",
    "HTTP_X_FORWARDED_FOR": "203.0.113.9",
    "HTTP_X_FORWARDED_PREFIX": "/evil",
    "HTTP_X_FORWARDED_SSL": "off",
    "HTTP_X_ORIGINAL_URL": "/evil",
    "HTTP_X_REWRITE_URL": "/evil",
    "HTTP_X_SCRIPT_NAME": "/evil",
    "HTTP_FORWARDED": 'for="203.0.113.9";host=evil.example;proto=http',
}


@pytest.fixture
def document(client, world):
    response = client.get(WELL_KNOWN)
    assert response.status_code == 200
    return response.json()


@pytest.mark.conformance("MD-01", "MD-02", "MD-03", "MD-04")
def test_document_when_read_then_it_is_json_with_the_required_members(client, world):
    response = client.get(WELL_KNOWN)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    document = response.json()
    assert document["issuer"] == ISSUER
    assert document["authorization_endpoint"] == f"{ISSUER}/oauth/authorize"
    assert document["token_endpoint"] == f"{ISSUER}/oauth/token"
    assert document["response_types_supported"] == ["code"]


@pytest.mark.conformance("MD-02")
def test_document_when_a_list_would_be_empty(client, world, settings):
    def empty_members(value):
        return [name for name, member in value.items() if member in (None, [], {}, "")]

    assert empty_members(client.get(WELL_KNOWN).json()) == []
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "SCOPES_BACKEND_CLASS": "tests.flows.test_metadata.NoScopes",
    }
    document = client.get(WELL_KNOWN).json()
    assert empty_members(document) == []
    assert "scopes_supported" not in document


class NoScopes:
    """A site without any scope."""

    def get_all_scopes(self):
        return {}


@pytest.mark.conformance("MD-05", "MD-06", "MD-07", "IS-03", "PK-02")
def test_document_when_read_then_nothing_is_left_to_defaults_that_mislead(document):
    assert document["grant_types_supported"] == [
        "authorization_code", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code",
        "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange",
    ]  # fmt: skip
    assert document["response_modes_supported"] == ["query"]
    secrets = ["client_secret_basic", "client_secret_post"]
    assert document["token_endpoint_auth_methods_supported"] == [*secrets, "none"]
    assert document["revocation_endpoint_auth_methods_supported"] == [*secrets, "none"]
    assert document["introspection_endpoint_auth_methods_supported"] == secrets
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["scopes_supported"] == [
        "delete:alerts",
        "read:metrics",
        "read:profile",
        "write:alerts",
    ]
    assert document["device_authorization_endpoint"] == f"{ISSUER}/oauth/device_authorization"
    assert document["jwks_uri"] == f"{ISSUER}/oauth/jwks"
    assert document["revocation_endpoint"] == f"{ISSUER}/oauth/revoke"
    assert document["introspection_endpoint"] == f"{ISSUER}/oauth/introspect"


@pytest.mark.conformance("MD-08", "CA-16", "MD-12")
def test_document_when_a_feature_is_not_offered(document):
    for member in [
        "signed_metadata", "pushed_authorization_request_endpoint",
        "require_pushed_authorization_requests", "authorization_details_types_supported",
        "dpop_signing_alg_values_supported", "registration_endpoint",
        "client_id_metadata_document_supported", "grant_management_endpoint",
        "grant_management_actions_supported", "identity_chaining_requested_token_types_supported",
        "authorization_grant_profiles_supported", "userinfo_endpoint", "end_session_endpoint",
        "tls_client_certificate_bound_access_tokens", "introspection_signing_alg_values_supported",
    ]:  # fmt: skip
        with each(member):
            assert member not in document


@pytest.mark.conformance("MD-08", "DV-13")
def test_document_when_it_lists_an_endpoint(document, client):
    listed = {name: url for name, url in document.items() if name.endswith(("_endpoint", "_uri"))}
    assert set(listed) == {
        "authorization_endpoint", "token_endpoint", "device_authorization_endpoint", "jwks_uri",
        "revocation_endpoint", "introspection_endpoint", "status_list_aggregation_endpoint",
    }  # fmt: skip
    read = {"authorization_endpoint", "jwks_uri", "status_list_aggregation_endpoint"}
    for name, url in listed.items():
        parts = urlsplit(url)
        assert (parts.scheme, parts.query, parts.fragment) == ("https", "", "")
        call = client.get if name in read else client.post
        # 400 and 401 are answers of the endpoint: we sent nothing
        assert call(parts.path).status_code in {200, 400, 401}


@pytest.mark.conformance("MD-08", "DV-13", "TX-44")
def test_document_when_it_lists_grant_types(document, story):
    for grant_type in document["grant_types_supported"]:
        error = story.token(story.world.web, grant_type=grant_type).json()["error"]
        assert error in {"invalid_request", "unauthorized_client"}
    unlisted = ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"]
    for grant_type in unlisted:
        answer = story.token(story.world.web, grant_type=grant_type)
        assert answer.json()["error"] == "unsupported_grant_type"


@pytest.mark.parametrize("path", [WELL_KNOWN, "/oauth/jwks"])
def test_public_document_when_read(client, world, path):
    response = client.get(path, HTTP_ORIGIN="https://spa.example.com")
    assert response["Cache-Control"] == "public, max-age=300"
    assert response["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in response
    assert client.head(path).content == b""
    refused = client.post(path)
    assert (refused.status_code, refused["Allow"]) == (405, "GET, HEAD")


# The issuer


@pytest.mark.conformance("MD-01", "MD-03", "IS-02")
def test_issuer_when_it_has_a_path(story, client, settings):
    issuer = f"{ISSUER}/tenants/one"
    settings.DELEGATION = {"ISSUER": issuer}
    document = client.get(f"{WELL_KNOWN}/tenants/one").json()
    assert document["issuer"] == issuer
    answer = redirected(story.answer(story.authorize()))
    assert answer["iss"] == issuer
    token = story.redeem(answer["code"]).json()["access_token"]
    assert claims_of(token)["iss"] == issuer
    assert story.introspect(token).json()["iss"] == issuer


@pytest.mark.conformance("MD-03")
def test_issuer_when_the_url_was_built_from_another(client, world, settings):
    for path in [
        "/tenants", "/tenants/two", "/tenants/one/x", "/Tenants/one", "/tenants//one", "/t1",
    ]:  # fmt: skip
        with each(path):
            settings.DELEGATION = {"ISSUER": f"{ISSUER}/tenants/one"}
            assert client.get(WELL_KNOWN + path).status_code == 404
            settings.DELEGATION = {"ISSUER": ISSUER}
            assert client.get(WELL_KNOWN + path).status_code == 404


@pytest.mark.conformance("BC-06", "MD-03")
def test_public_documents_when_headers_are_forged(client, world):
    for path in (WELL_KNOWN, "/oauth/jwks"):
        assert client.get(path, **FORGED).content == client.get(path).content


@pytest.mark.conformance("BC-06")
def test_story_when_headers_are_forged(story):
    story.browser.defaults.update(FORGED)
    story.wire.defaults.update(FORGED)
    page = story.authorize()
    assert b"evil" not in page.content
    assert "evil" not in json.dumps(dict(page.headers))
    response = story.answer(page)
    assert "evil" not in response["Location"]
    answer = redirected(response)
    assert answer["iss"] == ISSUER
    tokens = story.redeem(answer["code"]).json()
    assert claims_of(tokens["access_token"])["iss"] == ISSUER
    told = story.introspect(tokens["access_token"]).json()
    assert (told["active"], told["iss"]) == (True, ISSUER)
    refused = story.token(story.world.web, grant_type="nope")
    assert "evil" not in refused.content.decode()
    story.browser.logout()
    to_login = story.authorize()
    assert to_login["Location"].startswith("/accounts/login/")
    assert "evil" not in to_login["Location"]


@pytest.mark.conformance("BC-06")
@pytest.mark.parametrize(
    "header",
    [
        "HTTP_X_SSL_CLIENT_VERIFY", "HTTP_X_SSL_CLIENT_S_DN", "HTTP_X_SSL_CLIENT_CERT",
        "HTTP_X_CLIENT_CERT", "HTTP_X_FORWARDED_CLIENT_CERT", "HTTP_REMOTE_USER",
        "HTTP_X_REMOTE_USER", "HTTP_X_FORWARDED_USER", "HTTP_X_FORWARDED_EMAIL",
    ],
)  # fmt: skip
def test_identity_when_a_header_claims_one(story, header):
    web = story.world.web
    refused = story.post(
        "/oauth/token",
        {"grant_type": "client_credentials", "client_id": web.client_id},
        **{header: "web"},
    )
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    story.browser.logout()
    story.browser.defaults[header] = "alice"
    assert story.authorize()["Location"].startswith("/accounts/login/")


@pytest.mark.conformance("MD-10")
@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_jwks_when_read(client, world, settings, algorithm):
    settings.DELEGATION = {**settings.DELEGATION, "SIGNING_ALGORITHM": algorithm}
    response = client.get("/oauth/jwks")
    assert response.status_code == 200
    keys = response.json()["keys"]
    kind = {
        "ES256": ("EC", {"crv", "x", "y"}),
        "RS256": ("RSA", {"n", "e"}),
        "EdDSA": ("OKP", {"crv", "x"}),
    }
    for key in keys:
        assert (key["kty"], key["use"], key["alg"]) == (kind[algorithm][0], "sig", algorithm)
        assert set(key) == {"kty", "use", "alg", "kid"} | kind[algorithm][1]
    assert len({key["kid"] for key in keys}) == len(keys) == 2
