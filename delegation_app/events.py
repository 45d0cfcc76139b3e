"""The registry of audit events. Filters, labels and checks are read from it."""

from __future__ import annotations

from typing import Final, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Event(NamedTuple):
    """A kind of audit event: its stable name and its label."""

    name: str
    label: Promise


CONSENT_GRANTED: Final = Event("consent.granted", _("Consent granted"))
CONSENT_DENIED: Final = Event("consent.denied", _("Consent denied"))
CONSENT_SKIPPED: Final = Event("consent.skipped", _("Consent not required: trusted client"))
CONSENT_WITHDRAWN: Final = Event("consent.withdrawn", _("Consent withdrawn"))
CONSENT_CONFIRMED: Final = Event("consent.confirmed", _("Consent approved"))
CONSENT_REFUSED: Final = Event("consent.confirmation_refused", _("Consent rejected by an operator"))
DELEGATION_CREATED: Final = Event("delegation.created", _("Delegation created"))
DELEGATION_CHAINED: Final = Event("delegation.chained", _("Child delegation created"))
DELEGATION_NARROWED: Final = Event("delegation.narrowed", _("Delegation narrowed"))
DELEGATION_REVOKED: Final = Event("delegation.revoked", _("Delegation revoked"))
CODE_ISSUED: Final = Event("code.issued", _("Authorization code issued"))
DEVICE_STARTED: Final = Event("device.started", _("Device authorization requested"))
TOKEN_ISSUED: Final = Event("token.issued", _("Token issued"))
TOKEN_REFRESHED: Final = Event("token.refreshed", _("Token refreshed"))
TOKEN_REFRESH_RETRIED: Final = Event("token.refresh_retried", _("Token refresh retried"))
TOKEN_REISSUED: Final = Event("token.reissued", _("Token issued again after a lost response"))
TOKEN_EXCHANGED: Final = Event("token.exchanged", _("Token exchanged"))
TOKEN_IMPERSONATED: Final = Event("token.impersonated", _("Token exchanged, actor not named"))
TOKEN_REVOKED: Final = Event("token.revoked", _("Access token revoked"))
REQUEST_REFUSED: Final = Event("request.refused", _("Request refused"))
BLOCK_LIFTED: Final = Event("block.lifted", _("Block lifted"))
CLIENT_CHANGED: Final = Event("client.changed", _("Client changed"))
SECRET_ROTATED: Final = Event("client.secret_rotated", _("Client secret replaced"))
PREVIOUS_SECRET_ENDED: Final = Event(
    "client.previous_secret_ended", _("Previous client secret ended")
)
USER_DISABLED: Final = Event("user.disabled", _("User disabled"))
USER_ENABLED: Final = Event("user.enabled", _("User enabled"))
USER_DELETED: Final = Event("user.deleted", _("User deleted"))
RESOURCE_SERVER_CHANGED: Final = Event("resource_server.changed", _("Resource server changed"))
CHANGE_PROPOSED: Final = Event("change.proposed", _("Change proposed to a second operator"))
CHANGE_APPROVED: Final = Event("change.approved", _("Proposed change approved"))
CHANGE_REJECTED: Final = Event("change.rejected", _("Proposed change rejected"))
CHANGE_WITHDRAWN: Final = Event("change.withdrawn", _("Proposed change withdrawn"))
CHANGE_STALE: Final = Event("change.stale", _("Proposed change no longer applies"))
KEY_CREATED: Final = Event("key.created", _("Signing key created"))
KEY_ROTATED: Final = Event("key.rotated", _("Signing key rotated"))
USER_PASSWORD_CHANGED: Final = Event("user.password_changed", _("Password changed"))
USER_EMAIL_CHANGED: Final = Event("user.email_changed", _("E-mail address changed"))
AUDIT_EXPORTED: Final = Event("audit.exported", _("Audit trail exported"))

# Most of the trail. Indexes for the search for other events exclude these. Retries are rare, and
# stay indexed.
OF_TOKENS: Final = (
    TOKEN_ISSUED.name,
    TOKEN_REFRESHED.name,
    TOKEN_EXCHANGED.name,
    TOKEN_IMPERSONATED.name,
)

REGISTRY: Final = {
    event.name: event for event in list(globals().values()) if isinstance(event, Event)
}
