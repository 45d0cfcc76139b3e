"""What the factories write is what the server accepts over HTTP."""

import re
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from delegation_app.events import TOKEN_REVOKED
from delegation_app.models import AuditEvent, ConsentRecord, Delegation
from delegation_app.protocol import names
from delegation_app.protocol.errors import (
    AccessDenied,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
)
from delegation_app.protocol.scope import Scope
from delegation_app.services.audit import RequestContext
from delegation_app.services.consent.request import ON_A_DEVICE
from delegation_app.services.delegations import revocation
from delegation_app.services.tokens import local_verifier
from delegation_app.testing.factories import (
    PASSWORD,
    AccessTokenFactory,
    AuditEventFactory,
    AuthorizationCodeFactory,
    ClientFactory,
    ClientPolicyFactory,
    ConsentFactory,
    DelegationFactory,
    RefreshTokenFactory,
    ResourceServerFactory,
    UserFactory,
    parties,
)

pytestmark = [pytest.mark.django_db, pytest.mark.compat]


def introspected(post, token, application):
    return post("/oauth/introspect", application, token=token).json()


def events():
    return list(AuditEvent.objects.order_by("pk").values_list("event", flat=True))


# Users, resource servers, clients


def test_user_when_made_then_the_password_signs_in():
    user = UserFactory()

    assert user.plain_password == PASSWORD
    assert authenticate(username=user.get_username(), password=PASSWORD) == user
    assert UserFactory(username="alice", is_staff=True).is_staff


class Member:
    """A user model of a site's own, which signs in with an address and has no other name."""

    USERNAME_FIELD = "login"
    _meta = SimpleNamespace(
        get_fields=lambda: [models.EmailField(name="login"), models.IntegerField(name="age")]
    )

    def __init__(self, **fields):
        self.fields = fields

    @classmethod
    def get_email_field_name(cls):
        return "email"

    def set_password(self, password):
        self.fields["password"] = password

    def save(self):
        self.is_saved = True


def test_user_when_the_site_has_a_model_of_its_own_then_its_login_is_filled_in(monkeypatch):
    monkeypatch.setattr(parties, "get_user_model", lambda: Member)

    user = UserFactory(age=7)

    assert user.is_saved
    assert re.fullmatch(r"user\d+@example\.com", user.fields.pop("login"))
    assert user.fields == {"age": 7, "password": PASSWORD}


def test_resource_server_when_made_then_each_is_another_one():
    first, second = ResourceServerFactory(), ResourceServerFactory(scopes="read:metrics")

    assert first.identifier != second.identifier
    assert second.scopes == Scope(["read:metrics"])


def test_resource_server_when_the_console_would_refuse_it_then_so_does_the_factory():
    with pytest.raises(ValidationError):
        ResourceServerFactory(identifier="no uri")


def test_client_when_made_then_its_secret_gets_it_a_token(post):
    application = ClientFactory()

    answer = post("/oauth/token", application, grant_type="client_credentials")

    assert answer.status_code == 200, answer.content
    assert application.plain_secret not in application.client_secret


def test_client_when_public_then_it_has_no_secret_and_no_grant_that_needs_one():
    application = ClientFactory(public=True)

    assert application.plain_secret is None
    assert names.CLIENT_CREDENTIALS not in application.delegation_policy.grants


def test_client_when_its_policy_is_described_then_it_is_that_one():
    server = ResourceServerFactory()

    application = ClientFactory(policy__audiences=[server], policy__scopes="read:metrics")

    policy = application.delegation_policy
    assert list(policy.audiences.all()) == [server]
    assert policy.scopes == Scope(["read:metrics"])
    assert not hasattr(ClientFactory(policy=None), "delegation_policy")
    assert ClientPolicyFactory().application.plain_secret


# Consents and delegations


def test_consent_when_made_then_its_client_gets_a_code_without_a_page(client):
    consent = ConsentFactory()

    client.force_login(consent.user)
    answer = client.get(
        "/oauth/authorize",
        {
            "response_type": "code",
            "client_id": consent.client.client_id,
            "redirect_uri": consent.client.redirect_uris,
            "scope": str(consent.scopes_granted),
            "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
            "code_challenge_method": "S256",
        },
    )

    assert answer.status_code == 303, answer.content
    assert "code=" in answer["Location"]
    assert consent.shown
    assert consent.redirect_host == urlsplit(consent.client.redirect_uris).hostname
    assert events()[0] == "consent.granted"


def test_delegation_when_a_user_grants_it_then_consent_and_events_are_there():
    user = UserFactory()

    delegation = DelegationFactory(principal=user, scopes="read:metrics")

    assert delegation.subject == f"user:{user.pk}"
    assert delegation.scopes == Scope(["read:metrics"])
    assert delegation.consent.decision == ConsentRecord.Decision.GRANTED
    assert Delegation.objects.live().get() == delegation
    assert events() == ["consent.granted", "delegation.created"]


def test_delegation_when_a_client_acts_for_itself_then_no_user_is_made():
    application = ClientFactory()

    delegation = DelegationFactory(principal=application)

    assert delegation.subject == f"client:{application.client_id}"
    assert delegation.delegate == application
    assert ConsentRecord.objects.count() == 0


@pytest.mark.parametrize("of_a_client", [False, True])
def test_delegation_when_an_end_is_named_then_it_ends_there(of_a_client):
    ends = timezone.now() + timedelta(hours=1)
    principal = ClientFactory() if of_a_client else UserFactory()

    assert DelegationFactory(principal=principal, expires_at=ends).expires_at == ends


def test_delegation_when_constraints_are_named_then_it_has_them():
    limits = [{"type": "max_uses", "uses": 3}]

    delegation = DelegationFactory(constraints=limits)

    assert delegation.constraints.as_json() == limits
    assert delegation.max_uses == 3


def test_delegation_when_the_client_cannot_have_it_then_it_is_refused():
    application = ClientFactory(policy__scopes="read:metrics")

    with pytest.raises(InvalidScope):
        DelegationFactory(client=application, scopes="write:alerts")
    with pytest.raises(InvalidTarget):
        DelegationFactory(client=application, audience=ResourceServerFactory())


@pytest.mark.parametrize(
    "parameters",
    [
        lambda: {"client": ClientFactory(policy__grants=[names.CLIENT_CREDENTIALS])},
        lambda: {"principal": ClientFactory(public=True)},
        lambda: {"parent": DelegationFactory(), "client": ClientFactory(public=True)},
    ],
)
def test_delegation_when_the_policy_has_no_grant_for_it_then_it_is_refused(parameters):
    with pytest.raises(ValueError, match="policy"):
        DelegationFactory(**parameters())


def test_delegation_when_a_client_acts_for_another_then_it_is_refused():
    with pytest.raises(ValueError, match="itself"):
        DelegationFactory(principal=ClientFactory(), client=ClientFactory())


def test_delegation_when_the_client_is_a_device_then_the_user_was_asked_there():
    device = ClientFactory(public=True, policy__grants=[names.DEVICE_CODE, names.REFRESH_TOKEN])

    delegation = DelegationFactory(client=device)

    assert delegation.grant_type == names.DEVICE_CODE
    assert delegation.consent.redirect_host == ON_A_DEVICE


def test_delegation_when_an_operator_has_to_confirm_it_then_only_the_answer_is_there(settings):
    settings.DELEGATION = {**settings.DELEGATION, "SCOPE_RISKS": {"write:alerts": "high"}}
    careful = ClientFactory(policy__confirm_risky=True)

    assert ConsentFactory(client=careful).confirmation == ConsentRecord.Confirmation.PENDING
    with pytest.raises(AccessDenied):
        DelegationFactory(client=careful)
    assert not Delegation.objects.exists()


def test_delegation_when_it_has_a_parent_then_it_is_within_it_and_names_the_actor():
    parent = DelegationFactory(scopes="read:metrics")

    child = DelegationFactory(parent=parent)

    assert (child.parent, child.root_id, child.depth) == (parent, parent.public_id, 1)
    assert child.path.startswith(parent.path)
    assert child.scopes <= parent.scopes
    assert child.expires_at == parent.expires_at
    assert child.actors[0]["client_id"] == child.delegate_client_id
    assert events()[-1] == "delegation.chained"


def test_tree_when_made_then_one_call_revokes_all_of_it():
    tree = DelegationFactory.tree(depth=3, children=2)

    assert [row.depth for row in tree] == [0, 1, 1, 2, 2, 2, 2]
    assert revocation.subtree(tree[0], RequestContext(), reason="test") == 7
    assert not Delegation.objects.live().exists()


def test_tree_when_its_middle_is_revoked_then_the_root_stays():
    root, middle, _leaf = DelegationFactory.tree(depth=3)

    assert revocation.subtree(middle, RequestContext(), reason="test") == 2
    assert list(Delegation.objects.live()) == [root]


def test_tree_when_it_is_too_deep_then_it_is_refused(settings):
    settings.DELEGATION = {**settings.DELEGATION, "MAX_DEPTH": 1}

    with pytest.raises(InvalidRequest):
        DelegationFactory.tree(depth=3)


# Codes and tokens


def test_code_when_made_then_it_is_redeemed_over_http(post):
    application = ClientFactory()
    code = AuthorizationCodeFactory(delegation__client=application)

    answer = post(
        "/oauth/token",
        application,
        grant_type="authorization_code",
        code=code.text,
        code_verifier=code.code_verifier,
        redirect_uri=code.redirect_uri,
    )

    assert answer.status_code == 200, answer.content
    assert answer.json()["scope"] == str(code.delegation.scopes)


def test_refresh_token_when_made_then_it_is_rotated_over_http(post):
    application = ClientFactory()
    token = RefreshTokenFactory(delegation__client=application)

    answer = post("/oauth/token", application, grant_type="refresh_token", refresh_token=token.text)

    assert answer.status_code == 200, answer.content
    assert answer.json()["refresh_token"] != token.text


def test_refresh_token_when_the_policy_has_none_then_it_is_refused():
    application = ClientFactory(policy__grants=[names.AUTHORIZATION_CODE])

    with pytest.raises(ValueError, match="refresh"):
        RefreshTokenFactory(delegation__client=application)


@pytest.mark.parametrize("factory", [AuthorizationCodeFactory, RefreshTokenFactory])
@pytest.mark.parametrize(
    "delegation",
    [
        lambda: DelegationFactory(principal=ClientFactory()),
        lambda: DelegationFactory(parent=DelegationFactory()),
    ],
)
def test_token_when_no_grant_gives_it_on_such_a_delegation_then_it_is_refused(factory, delegation):
    with pytest.raises(ValueError, match="delegation"):
        factory(delegation=delegation())


def test_refresh_token_when_the_policy_refreshes_what_was_exchanged_then_a_child_has_one():
    exchanging = ClientFactory(policy__may_refresh_exchanged_tokens=True)
    child = DelegationFactory(parent=DelegationFactory(), client=exchanging)

    assert RefreshTokenFactory(delegation=child).text


@pytest.mark.parametrize("token_format", ["jwt", "opaque"])
def test_access_token_when_made_then_introspection_and_the_verifier_accept_it(post, token_format):
    asking = ClientFactory()
    server = ResourceServerFactory(token_format=token_format, introspectors=[asking])
    application = ClientFactory(policy__audiences=[server])

    token = AccessTokenFactory(delegation__client=application, scope="read:metrics")

    told = introspected(post, token.text, asking)
    assert told["active"]
    assert told["scope"] == "read:metrics"
    assert local_verifier.verify(token.text, server.identifier).jti == token.jti
    issued = AuditEvent.objects.get(event="token.issued")
    assert (issued.jti, issued.actor) == (token.jti, f"client:{application.client_id}")


def test_access_token_when_an_end_is_named_then_it_ends_there():
    ends = (timezone.now() + timedelta(seconds=90)).replace(microsecond=0)

    assert AccessTokenFactory(expires_at=ends).expires_at == ends


@pytest.mark.parametrize(
    "factory", [AuthorizationCodeFactory, AccessTokenFactory, RefreshTokenFactory]
)
def test_token_when_its_delegation_was_revoked_then_it_is_refused(factory):
    delegation = DelegationFactory()
    revocation.subtree(delegation, RequestContext(), reason="test")

    with pytest.raises(ValueError, match="not live"):
        factory(delegation=delegation)


# Audit


def test_audit_event_when_made_then_it_is_about_its_delegation():
    delegation = DelegationFactory()

    event = AuditEventFactory(event=TOKEN_REVOKED, delegation=delegation, reason="lost")

    assert (event.event, event.subject, event.reason) == (
        "token.revoked",
        delegation.subject,
        "lost",
    )
    assert AuditEventFactory().delegation is not None
    assert AuditEventFactory(delegation=None, subject="user:9").subject == "user:9"


@pytest.mark.parametrize("factory", [UserFactory, DelegationFactory, AuditEventFactory])
def test_factory_when_asked_to_build_without_writing_then_it_refuses(factory):
    with pytest.raises(NotImplementedError, match="create"):
        factory.build()
