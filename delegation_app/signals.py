"""Signals for the site around us. They are sent after the commit; receivers can't undo it.

Each carries `delegation_id` (the public UUID); `delegation_revoked` also `reason`, and
`count`, the number of delegations that ended with it.
"""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

delegation_opened: Final = Signal()
delegation_revoked: Final = Signal()
