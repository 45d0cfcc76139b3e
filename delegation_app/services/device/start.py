"""The device authorization request: two codes for each (RFC 8628 sections 3.1 and 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db import IntegrityError
from django.db.models import Count, Q

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.events import DEVICE_STARTED
from delegation_app.models import DeviceCode
from delegation_app.protocol import names
from delegation_app.protocol.errors import OAuthError, TemporarilyUnavailable, UnauthorizedClient
from delegation_app.protocol.requests.addresses import budget_of
from delegation_app.protocol.requests.parameters import MEANINGFUL, Parameters
from delegation_app.protocol.secrets import derive_key, digest, new_secret
from delegation_app.protocol.user_code import keyed_digest, new_user_code
from delegation_app.services import audit
from delegation_app.services.clients.registered_client import RegisteredClient
from delegation_app.services.delegations import enforcement
from delegation_app.services.transactions import advisory_lock, durable, nested

# Two equal codes among the live ones come up once in billions of requests; five in a row never
_DRAWS: Final = 5
_LOOKED_AT: Final = frozenset({"scope", "resource", "constraints"})
# The device requests a screen, a sign-in or a proof that it would not get
_NOT_IGNORED: Final = MEANINGFUL | {"code_challenge", "max_age", "prompt"}
# A device that polls long after the expiry only learns that the code is invalid
_KEPT: Final = timedelta(days=1)
_SWEPT: Final = 20
_RETRY_AFTER: Final = 60


class TooManyDevices(OAuthError):
    """Too many device codes await an answer.

    RFC 8628 section 3.2 refers to RFC 6749 section 5.2, which has no code for this; `slow_down`
    belongs to polling. The status is that of RFC 6585 section 4, and the code the one for an
    overloaded authorization endpoint (RFC 6749 section 4.1.2.1).
    """

    code = "temporarily_unavailable"
    status = 429


@dataclass(frozen=True, slots=True)
class Started:
    """The device authorization response (RFC 8628 section 3.2). Neither code is stored.

    Attributes:
        device_code: the code to poll with.
        user_code: the code to show.
        expires_in: the lifetime of both codes, in seconds.
        interval: the minimum between two polls, in seconds.
    """

    device_code: str = field(repr=False)
    user_code: str = field(repr=False)
    expires_in: int
    interval: int


def start(
    client: RegisteredClient, parameters: Parameters, origin: audit.RequestContext
) -> Started:
    """Start a device authorization (RFC 8628 section 3.1).

    Args:
        client: the client on the device.
        parameters: the request; `scope`, `resource` and `constraints` are read.
        origin: the client as actor, and the origin of the request.

    Raises:
        UnauthorizedClient: the client's policy does not allow the grant.
        InvalidRequest, InvalidScope, InvalidTarget: the client cannot have what it requests.
        TooManyDevices: too many codes of the client, or for its address, await an answer.
        TemporarilyUnavailable: no free code was found.

    Side effects: one row, one audit event; deletes old unanswered rows of the client.
    """
    if not client.may_use(names.DEVICE_CODE):
        raise UnauthorizedClient("This client may not use the device authorization grant.")
    parameters.refuse_unsupported(_LOOKED_AT, _NOT_IGNORED)
    audience = client.audience(parameters.all("resource"))
    row = DeviceCode(
        client=client.application,
        client_id_value=client.client_id,
        scope=client.scope(parameters.get("scope"), audience),
        audience=audience,
        address=budget_of(origin.ip),
        constraints=enforcement.of_request(client, parameters.get("constraints"), audience),
        interval=conf.device_polling_interval,
    )
    return _store(row, origin)


def digests_of(user_code: str) -> list[str]:
    """Return the possible digests of a user code, under the current and the older secrets."""
    keys = (derive_key(secret, "user-code") for secret in conf.secrets)
    return [keyed_digest(key, user_code) for key in keys]


@durable
def _store(row: DeviceCode, context: audit.RequestContext) -> Started | OAuthError:
    # Always in this order, so that two starts cannot deadlock
    advisory_lock(f"device codes of client {row.client_id_value}")
    advisory_lock(f"device codes for address {row.address}")
    _refuse_too_many(row)
    _sweep(row.client_id_value)
    for _draw in range(_DRAWS):
        device_code, user_code = new_secret(), new_user_code()
        now = clock.now()
        # After a rollback this may run again, and the row has kept its key
        row.pk = None
        row.digest, row.user_code_digest = digest(device_code), digests_of(user_code)[0]
        row.issued_at, row.expires_at = now, now + conf.device_code_lifetime
        try:
            with nested():
                row.save(force_insert=True)
        except IntegrityError:
            _release(row.user_code_digest, now)
            continue
        details = {"scope": str(row.scope), "audience": list(row.audience)}
        audit.record_often(DEVICE_STARTED, context, client_id=row.client_id_value, details=details)
        expires_in = int(conf.device_code_lifetime.total_seconds())
        return Started(device_code, user_code, expires_in, row.interval)
    raise TemporarilyUnavailable("Try again in a moment.", detail="no free user code")


def _refuse_too_many(row: DeviceCode) -> None:
    now = clock.now()
    theirs, there = Q(client_id_value=row.client_id_value), Q(address=row.address)
    # Without a known address, only the client is counted
    there = there if row.address else Q(pk__in=())
    waiting = DeviceCode.objects.filter(
        theirs | there, expires_at__gt=now, approved_at=None, denied_at=None
    )
    found = waiting.aggregate(of_client=Count("pk", filter=theirs), here=Count("pk", filter=there))
    if found["of_client"] >= conf.device_codes_per_client:
        detail = f"{found['of_client']} codes of the client wait for an answer"
    elif found["here"] >= conf.device_codes_per_address:
        detail = f"{found['here']} codes for {row.address} wait for an answer"
    else:
        return
    error = TooManyDevices("Too many devices wait to be connected. Try again later.", detail=detail)
    error.retry_after = _RETRY_AFTER
    raise error


def _sweep(client_id: str) -> None:
    # Delete a few of the client's unanswered codes, so that their number stays bounded
    over = DeviceCode.objects.filter(
        client_id_value=client_id,
        expires_at__lt=clock.now() - _KEPT,
        approved_at=None,
        denied_at=None,
    )
    DeviceCode.objects.filter(pk__in=over.order_by("expires_at").values("pk")[:_SWEPT]).delete()


def _release(user_code_digest: str, now: datetime) -> None:
    # A code has to differ only from those that a user may still type
    over = Q(expires_at__lte=now) | Q(approved_at__isnull=False) | Q(denied_at__isnull=False)
    DeviceCode.objects.filter(over, user_code_digest=user_code_digest).update(user_code_digest=None)
