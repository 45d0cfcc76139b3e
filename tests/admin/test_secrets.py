"""No page of the admin shows a secret, or enough of its digest to look one up."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from delegation_app.models import (
    AccessToken,
    AuditEvent,
    AuthorizationCode,
    ConsentRecord,
    Delegation,
    PreviousSecret,
    ProposedChange,
    RefreshToken,
    ResourceServer,
    SigningKey,
)
from delegation_app.services import audit
from delegation_app.services.clients import secrets
from tests.admin.conftest import browser, page
from tests.admin.test_clients import filled_in
from tests.support import SecureClient
from tests.support.world import VERIFIER

pytestmark = pytest.mark.any_database


def texts(responses):
    for tokens in responses:
        yield tokens["access_token"]
        yield tokens["access_token"].rsplit(".", 1)[-1]
        if "refresh_token" in tokens:
            yield tokens["refresh_token"]


def rotated(story):
    """Replace the secret of cron, and return everything that stands of it."""
    row = story.world.cron.row
    seen = secrets.mark_of(row)
    origin = audit.RequestContext()
    made = secrets.replace(row, origin, overlap=timedelta(days=1), seen=seen)
    former = PreviousSecret.objects.get()
    return [made.secret, former.hashed, former.successor_digest[:9], former.current_digest[:9]]


def proposed(settings):
    """Let two changes wait that were saved with a secret, and return what was typed."""
    settings.DELEGATION = {**settings.DELEGATION, "SECOND_OPERATOR": True}
    operator = SecureClient()
    operator.force_login(get_user_model().objects.create_superuser("another"))
    add = "/admin/oauth2_provider/application/add/"
    typed = "a-secret-that-an-operator-typed"
    data = filled_in(operator, add) | {
        "client_id": "new",
        "client_secret": typed,
        "client_type": "confidential",
        "authorization_grant_type": "client-credentials",
    }
    operator.post(add, data)
    assert typed not in str(ProposedChange.objects.values().get())
    return [typed]


def digests():
    """A character more than may be shown of each."""
    for model, column in (
        (AccessToken, "digest"),
        (AuthorizationCode, "digest"),
        (RefreshToken, "digest"),
        (ConsentRecord, "request_digest"),
        (Delegation, "terms_digest"),
    ):
        found = model.objects.exclude(**{column: None}).values_list(column, flat=True)
        yield from (digest[:9] for digest in found)


def kept(story):
    for key in SigningKey.objects.all():
        yield bytes(key.encrypted_private_key).decode()[:32]
    for app in story.world.apps.values():
        app.row.refresh_from_db()
        if app.secret:
            yield app.secret
            yield app.row.client_secret
            yield app.row.client_secret.rsplit("$", 1)[-1]


def addresses(story):
    yield reverse("admin:index")
    yield reverse("admin:app_list", args=["delegation_app"])
    for model in (
        Delegation,
        ConsentRecord,
        AuditEvent,
        SigningKey,
        ResourceServer,
        ProposedChange,
    ):
        name = model._meta.model_name
        yield page(name, "changelist")
        for key in model.objects.values_list("pk", flat=True):
            yield page(name, "change", key)
            yield page(name, "history", key)
    for app in story.world.apps.values():
        for name in ("change", "history", "delete"):
            yield page("application", name, app.row.pk, app="oauth2_provider")
    yield page("application", "changelist", app="oauth2_provider")
    for name in ("new_secret", "end_former_secret"):
        yield page("application", name, story.world.cron.row.pk, app="oauth2_provider")
    for delegation in Delegation.objects.all():
        yield page("delegation", "revoke", delegation.pk)
        yield page("delegation", "narrow", delegation.pk)
        for whose in ("person", "client", "both"):
            yield page("delegation", "everything", delegation.pk, whose)


@pytest.mark.parametrize("role", ["auditor", "operator", "superuser"])
def test_pages_when_all_are_opened_then_none_has_a_secret(story, role, settings):
    ResourceServer.objects.filter(name="Service B").update(token_format="opaque")
    code = story.code()
    first = story.redeem(code).json()
    responses = [
        first,
        story.refresh(first["refresh_token"]).json(),
        story.tokens(resource="https://service-b.example.com", prompt="consent"),
        story.client_credentials().json(),
    ]
    responses.append(story.exchange(responses[1]["access_token"]).json())
    story.exchange(responses[1]["refresh_token"])
    story.redeem(code)
    client = browser(role)
    secrets = [*rotated(story), *proposed(settings)]
    canaries = [code, VERIFIER, *texts(responses), *secrets, *digests(), *kept(story)]
    assert len(canaries) > 30
    opened = 0
    for address in addresses(story):
        response = client.get(address)
        if response.status_code == 403:
            assert role == "auditor"
            continue
        # A client that acts for itself has no person
        if response.status_code == 404:
            assert "/everything/" in address
            continue
        html = response.content.decode()
        opened += response.status_code == 200
        found = [canary for canary in canaries if canary in html]
        assert found == [], address
    assert opened > 40


@pytest.mark.parametrize("model", ["delegation", "consentrecord", "auditevent"])
def test_search_when_it_is_a_secret_then_nothing_is_found(story, model, operator):
    tokens = story.tokens()
    digests = RefreshToken.objects.values_list("digest", flat=True)
    for term in (tokens["refresh_token"], *digests, digests[0][:8]):
        found = operator.get(page(model, "changelist"), {"q": term})
        rows = found.context["events"] if model == "auditevent" else found.context["cl"].result_list
        assert list(rows) == []


@pytest.mark.parametrize(
    "query",
    [
        "codes__digest__startswith=0",
        "refresh_tokens__digest__startswith=0",
        "delegate__client_secret__startswith=p",
        "delegate__delegation_policy__scopes=x",
        "principal_user__password__startswith=p",
        "terms_digest__startswith=0",
        "o=99",
        "o=terms_digest",
        "p=-1",
        "p=99999999999999999999",
        "p=٣",
        "_connector=OR",
        "issued_at__gte=nonsense",
        "state=made-up",
        "grant=made-up",
        "parent=made-up",
        "root=%00",
        "from=made-up",
        "parent__root__terms_digest__startswith=0",
        "q=%00",
    ],
)
def test_list_when_the_query_is_forged_then_it_is_refused_or_ignored(story, operator, query):
    story.tokens()
    response = operator.get(f"{page('delegation', 'changelist')}?{query}")
    assert response.status_code in {200, 302, 400}
