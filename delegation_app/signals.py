"""Signals for the site around us. They are sent after the commit; receivers can't undo it.

Each carries `delegation_id` (the public UUID); `delegation_revoked` also `reason`, and
`count`, the number of delegations that ended with it. With the setting OUTBOX they are sent by
`manage.py delegation_outbox`, at least once, and carry `message_id`, a UUID that is the same each
time. Without it they are sent by the process that made the change, and lost if that is killed.
"""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

delegation_created: Final = Signal()
delegation_revoked: Final = Signal()
