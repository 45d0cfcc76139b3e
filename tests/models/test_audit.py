import pytest

from delegation_app.models import AuditEvent
from delegation_app.models.audit import AppendOnly


def test_event_when_changed_or_deleted_then_refused(story):
    story.tokens()
    event = AuditEvent.objects.first()
    event.reason = "rewritten"

    for attempt in (
        event.save,
        event.delete,
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(reason="rewritten"),
    ):
        with pytest.raises(AppendOnly):
            attempt()
    assert AuditEvent.objects.filter(reason="rewritten").count() == 0
