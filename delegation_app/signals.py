"""Signals for the site, sent after the commit; receivers cannot undo it.

Each carries `delegation_id` (the public UUID); `delegation_revoked` also carries `reason`, and
`count`, the number of delegations that ended with it. With the setting OUTBOX,
`manage.py delegation_outbox` sends them at least once, with `message_id`, a UUID that is the same
each time. Without it the process of the change sends them, and a crash loses them.
"""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

delegation_created: Final = Signal()
delegation_revoked: Final = Signal()
