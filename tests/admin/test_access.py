"""What the pages of the admin refuse, whoever asks."""

import pytest

from delegation_app.models import (
    AuditEvent,
    ClientPolicy,
    ConsentRecord,
    Delegation,
    SigningKey,
)
from tests.admin.conftest import page

pytestmark = pytest.mark.any_database

# Who gets into which page stands in permission_matrix.txt. Here is what no matrix says.
WITHOUT_RECORD = {"changelist", "add", "rotate"}

DEEDS = [
    (Delegation, "revoke"),
    (Delegation, "narrow"),
    (Delegation, "everything"),
    (Delegation, "client"),
    (ConsentRecord, "withdraw"),
    (SigningKey, "rotate"),
]


def address(model, name):
    record = model.objects.first()
    if name == "client":
        args = [record.delegate_id]
    elif name == "everything":
        args = [record.pk, "both"]
    else:
        args = [] if name in WITHOUT_RECORD else [record.pk]
    return page(model._meta.model_name, name, *args)


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
        url = f"{address(model, name)}?reason=x&force=on&scopes=read:metrics"
        assert getattr(operator, method)(url).status_code == 200
    assert AuditEvent.objects.count() == events
    assert Delegation.objects.live().count() == 1


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("delegation", "revoke"),
        ("delegation", "narrow"),
        ("delegation", "client"),
        ("delegationblock", "lift"),
        ("consentrecord", "withdraw"),
    ],
)
@pytest.mark.parametrize("key", ["4711", "nobody", "9" * 30, "a\x00b"])
def test_deed_when_there_is_no_such_record_then_404(operator, model, name, key):
    assert operator.get(page(model, name, key)).status_code == 404


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
