"""Every command of docs/operating.md does what it says there, on a site that has what it names."""

import re
import shlex
import uuid
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from delegation_app.models import AuditEvent, Delegation
from tests.support.world import delegation_of

DELEGATION = uuid.UUID("5b0ac3c4-9a43-4c27-9c1c-6f0a8f2a7c11")
PAGE = (Path(__file__).parent.parent.parent / "docs/operating.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in block.splitlines()
]


@pytest.fixture
def site(story):
    story.redeem("wrong")
    row = delegation_of(story.tokens())
    path = f"/{DELEGATION.hex}/"
    Delegation.objects.filter(pk=row.pk).update(public_id=DELEGATION, path=path)
    Delegation.objects.filter(pk=row.pk).update(root=DELEGATION)
    old = {"issued_at": row.issued_at.replace(year=2025, month=6)}
    Delegation.objects.filter(pk=row.pk).update(**old)
    AuditEvent.objects.bulk_create(
        [
            AuditEvent(event="x", outcome="refused", request_id="4f6bd5f1c2a54c4d"),
            AuditEvent(event="x", outcome="done", jti="-0aZ3xk9cQm1vT7yB5nW2eR8uJp"),
            AuditEvent(event="client.changed", outcome="done", client_id_value="web"),
        ]
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_operating_when_a_command_of_the_page_is_run_then_it_works(site, command):
    program, *arguments = shlex.split(command)
    assert program == "manage.py"
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    # A head alone would mean that it found nothing
    assert len(out.getvalue().splitlines()) > ("list" in arguments)
    assert err.getvalue() == ""
    ends = "revoke" in arguments and "--dry-run" not in arguments
    assert Delegation.objects.live().exists() is not ends
