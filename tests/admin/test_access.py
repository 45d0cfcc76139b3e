"""Every page of the admin, and who gets in."""

import pytest
from django.contrib import admin
from django.urls import resolve, reverse

from delegation_app.models import (
    AuditEvent,
    ClientPolicy,
    ConsentRecord,
    Delegation,
    ResourceServer,
    SigningKey,
)
from tests.admin.conftest import ROLES, browser, page

# What GET answers to: anonymous, staff without permission, auditor, operator, superuser
ASKED_TO_SIGN_IN, FORBIDDEN, SHOWN = 302, 403, 200
READERS = (ASKED_TO_SIGN_IN, FORBIDDEN, SHOWN, SHOWN, SHOWN)
DOERS = (ASKED_TO_SIGN_IN, FORBIDDEN, FORBIDDEN, SHOWN, SHOWN)
NOBODY = (ASKED_TO_SIGN_IN, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN)
ANYBODY = (ASKED_TO_SIGN_IN, 302, 302, 302, 302)

RECORD = {
    "changelist": READERS,
    "change": READERS,
    "history": READERS,
    "add": NOBODY,
    "delete": NOBODY,
}
EDITED = RECORD | {"add": DOERS, "delete": DOERS}
MATRIX = {
    Delegation: RECORD
    | {
        "revoke": DOERS,
        "narrow": DOERS,
        "everything": DOERS,
        "client": DOERS,
        "bulk": DOERS,
        "readmit": (*DOERS[:3], 302, 302),
    },
    ConsentRecord: RECORD | {"withdraw": DOERS},
    AuditEvent: RECORD,
    SigningKey: RECORD | {"rotate": DOERS},
    ResourceServer: EDITED,
}
WITHOUT_RECORD = {"changelist", "add", "rotate", "bulk"}

DEEDS = [
    (Delegation, "revoke"),
    (Delegation, "narrow"),
    (Delegation, "everything"),
    (Delegation, "client"),
    (Delegation, "bulk"),
    (ConsentRecord, "withdraw"),
    (SigningKey, "rotate"),
]

CASES = [
    pytest.param(model, name, role, expected, id=f"{model._meta.model_name}-{name}-{role}")
    for model, names in MATRIX.items()
    for name, row in names.items()
    for role, expected in zip(ROLES, row, strict=True)
]


def address(model, name):
    record = model.objects.first()
    if name == "client":
        args = [record.delegate_id]
    elif name == "everything":
        args = [record.pk, "both"]
    else:
        args = [] if name in WITHOUT_RECORD else [record.pk]
    found = page(model._meta.model_name, name, *args)
    return f"{found}?client=web" if name == "bulk" else found


@pytest.mark.parametrize(("model", "name", "role", "expected"), CASES)
def test_page_when_somebody_of_a_role_opens_it_then_the_matrix_holds(
    story, model, name, role, expected
):
    story.tokens()
    response = browser(role).get(address(model, name))
    assert response.status_code == expected
    if role == "anonymous":
        assert response["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("model", MATRIX)
def test_matrix_when_a_model_has_a_page_then_it_is_listed(model):
    names = {
        pattern.name.rsplit("_", 1)[1]
        for pattern in admin.site.get_model_admin(model).get_urls()
        if pattern.name
    }
    assert names == set(MATRIX[model])


def test_registry_when_the_admin_is_loaded_then_only_these_models_have_pages():
    ours = {model for model in admin.site._registry if model._meta.app_label == "delegation_app"}
    assert ours == set(MATRIX)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("model", [Delegation, ConsentRecord, AuditEvent, SigningKey])
@pytest.mark.parametrize("name", ["add", "change", "delete"])
def test_record_when_somebody_posts_an_edit_then_it_is_refused(story, model, name, role):
    story.tokens()
    before = list(model.objects.order_by("pk").values())
    url = address(model, name)
    response = browser(role).post(url, {"post": "yes", "subject": "user:1", "reason": "x"})
    assert response.status_code == (302 if role == "anonymous" else 403)
    assert list(model.objects.order_by("pk").values()) == before


@pytest.mark.parametrize("role", ["anonymous", "staff", "auditor"])
@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Delegation, "revoke"),
        (Delegation, "narrow"),
        (Delegation, "everything"),
        (Delegation, "client"),
        (Delegation, "bulk"),
        (Delegation, "readmit"),
        (ConsentRecord, "withdraw"),
        (SigningKey, "rotate"),
    ],
)
def test_deed_when_somebody_without_permission_posts_then_nothing_happens(story, model, name, role):
    story.tokens()
    events = AuditEvent.objects.count()
    data = {"reason": "no", "force": "on", "scopes": "read:metrics"}
    response = browser(role).post(address(model, name), data)
    assert response.status_code == (302 if role == "anonymous" else 403)
    assert AuditEvent.objects.count() == events


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
@pytest.mark.parametrize(
    ("model", "name"),
    DEEDS,
)
def test_deed_when_the_method_is_another_then_405(story, operator, model, name, method):
    story.tokens()
    assert getattr(operator, method)(address(model, name)).status_code == 405


@pytest.mark.parametrize("method", ["get", "head"])
def test_deed_when_it_is_only_looked_at_then_nothing_changes(story, operator, method):
    story.tokens()
    events = AuditEvent.objects.count()
    for model, name in DEEDS:
        url = address(model, name)
        url += f"{'&' if '?' in url else '?'}reason=x&force=on&scopes=read:metrics"
        assert getattr(operator, method)(url).status_code == 200
    assert AuditEvent.objects.count() == events
    assert Delegation.objects.live().count() == 1


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("delegation", "revoke"),
        ("delegation", "narrow"),
        ("delegation", "client"),
        ("delegation", "readmit"),
        ("consentrecord", "withdraw"),
    ],
)
@pytest.mark.parametrize("key", ["4711", "nobody", "9" * 30, "a\x00b"])
def test_deed_when_there_is_no_such_record_then_404(operator, model, name, key):
    assert operator.get(page(model, name, key)).status_code == 404


def test_deed_when_the_csrf_token_is_missing_then_403(story, csrf_client, django_user_model):
    story.tokens()
    csrf_client.force_login(django_user_model.objects.create_superuser("root"))
    for model, name in DEEDS:
        data = {"reason": "x", "force": "on", "scopes": "read:metrics"}
        response = csrf_client.post(address(model, name), data)
        assert response.status_code == 403
    assert Delegation.objects.live().count() == 1


@pytest.mark.parametrize("name", ["signingkey_rotate", "delegation_bulk"])
def test_deed_when_requests_are_atomic_then_it_stays_outside(name):
    view = resolve(reverse(f"admin:delegation_app_{name}")).func
    assert view._non_atomic_requests == {"default"}


def test_auditor_when_looking_at_every_page_then_there_is_no_button(story, auditor):
    story.tokens()
    for model in (Delegation, ConsentRecord, SigningKey):
        for name in ("changelist", "change"):
            html = auditor.get(address(model, name)).content.decode()
            assert "delegation-do" not in html
            assert "revoke_selected" not in html


def test_policies_when_somebody_only_views_then_they_are_read_only(world, auditor):
    url = page("application", "change", world.web.row.pk, app="oauth2_provider")
    html = auditor.get(url).content.decode()
    assert "read:metrics" in html
    assert 'name="delegation_policy-0-scopes"' not in html
    assert auditor.post(url, {}).status_code == 403
    assert ClientPolicy.objects.count() == len(world.apps)
