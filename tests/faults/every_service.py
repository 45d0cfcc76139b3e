"""Every service that owns its transaction, with what it needs: each makes a call, not yet made."""

from datetime import timedelta
from functools import partial
from uuid import uuid4

from delegation_app import clock
from delegation_app.events import CLIENT_CHANGED
from delegation_app.models import (
    ConsentRecord,
    Delegation,
    OutboxMessage,
    ProposedChange,
    RefreshToken,
    SigningKey,
)
from delegation_app.protocol import names
from delegation_app.protocol.requests.parameters import Parameters
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit, outbox, signing_keys
from delegation_app.services.clients import changes, lookup, proposals, secrets
from delegation_app.services.connections import actions
from delegation_app.services.consent import approval, decision, pending_requests, preparation
from delegation_app.services.delegations import bulk
from delegation_app.services.delegations.filters import DelegationFilter
from delegation_app.services.delegations.narrowing import Narrowing
from delegation_app.services.device import start as device_start
from delegation_app.services.tokens import revocation as token_revocation
from tests.races.crowd import new_child, new_code, new_root, question
from tests.races.test_device import waiting
from tests.support.token_request import handle
from tests.support.world import SERVICE_B, VERIFIER

OPERATOR, PROPOSER = audit.RequestContext(actor="user:99"), audit.RequestContext(actor="user:98")
SCOPE = Scope.parse("read:metrics write:alerts")


def sent(grant_type, app, **parameters):
    origin = audit.RequestContext(f"client:{app}")
    return partial(handle, grant_type, lookup.find(app), origin, **parameters)


def redeem(world):
    return sent(names.AUTHORIZATION_CODE, "web", code=new_code(world), code_verifier=VERIFIER)


def replay(world):
    act = redeem(world)
    act()
    return act


def refresh(world):
    _row, tokens = new_root(world.alice)
    return sent(names.REFRESH_TOKEN, "web", refresh_token=tokens["refresh_token"])


def retry(world):
    act = refresh(world)
    act()
    return act


def reuse(world):
    act = refresh(world)
    act()
    # Its successor is used, too
    RefreshToken.objects.filter(consumed_at=None).update(consumed_at=clock.now())
    return act


def approved(world):
    asked, code = waiting(world)
    decision.decide(asked, decision.Answer(asked.scope), audit.RequestContext())
    return code


def poll(world):
    return sent(names.DEVICE_CODE, "tv", device_code=approved(world))


def client_credentials(world):
    # Another one is opened each time
    Delegation.objects.filter(delegate_client_id="cron").update(terms_digest="0" * 64)
    return sent(names.CLIENT_CREDENTIALS, "cron", scope=str(SCOPE))


def exchange(world):
    _row, tokens = new_root(world.alice)
    return partial(new_child, tokens["access_token"], "service-a", SERVICE_B)


def allow(world):
    answer = decision.Answer(SCOPE)
    return partial(decision.decide, question(world), answer, audit.RequestContext())


def deny(world):
    answer = decision.Answer(is_denial=True)
    return partial(decision.decide, question(world), answer, audit.RequestContext())


def proceed(world):
    new_code(world)
    return partial(preparation.prepare, question(world), audit.RequestContext())


def start(world):
    asked = Parameters([("scope", "read:metrics")])
    return partial(device_start.start, lookup.find("tv"), asked, audit.RequestContext())


def allow_device(world):
    asked, _code = waiting(world)
    return partial(decision.decide, asked, decision.Answer(asked.scope), audit.RequestContext())


def deny_device(world):
    asked, _code = waiting(world)
    answer = decision.Answer(is_denial=True)
    return partial(decision.decide, asked, answer, audit.RequestContext())


def pending(world):
    new_code(world)
    record = ConsentRecord.objects.latest("pk")
    ConsentRecord.objects.filter(pk=record.pk).update(confirmation="pending")
    return record


def confirm(world):
    return partial(approval.approve, pending(world), OPERATOR, reason="checked")


def refuse(world):
    return partial(approval.reject, pending(world), OPERATOR, reason="checked")


def give_back(world, kind):
    _row, tokens = new_root(world.alice)
    client = lookup.find("web")
    return partial(
        token_revocation.presented_token, tokens[kind], client, audit.RequestContext("client:web")
    )


def end(world):
    row, _tokens = new_root(world.alice)
    return partial(actions.end, row, audit.RequestContext(), reason="")


def end_all(world):
    # Nothing of the services before, each of which would have an event of its own
    Delegation.objects.filter(revoked_at=None).update(revoked_at=clock.now(), revoked_by="system")
    ConsentRecord.objects.filter(withdrawn_at=None).update(
        withdrawn_at=clock.now(), withdrawn_by="system"
    )
    new_root(world.alice)
    return partial(actions.end_all, world.alice, audit.RequestContext(), reason="")


def narrow(world):
    row, _tokens = new_root(world.alice)
    to = Narrowing(scope=Scope(["read:metrics"]))
    return partial(actions.narrow, row, to, audit.RequestContext())


def revoke_one(world):
    row, _tokens = new_root(world.alice)
    return partial(bulk.revoke_one, row, OPERATOR, reason="enough")


def narrow_one(world):
    row, _tokens = new_root(world.alice)
    to = Narrowing(scope=Scope(["read:metrics"]))
    return partial(bulk.narrow_one, row, to, OPERATOR, reason="enough")


def revoke_many(world):
    held = Delegation.objects.filter(delegate_client_id="web", revoked_at=None)
    held.update(revoked_at=clock.now(), revoked_by="system")
    new_root(world.alice)
    task = bulk.begin(DelegationFilter(client_id="web"))
    return partial(bulk.next_batch, task, OPERATOR, reason="enough", size=10)


def replace_secret(world):
    row = world.cron.row
    row.refresh_from_db()
    seen = secrets.mark_of(row)
    return partial(secrets.replace, row, OPERATOR, overlap=timedelta(hours=1), seen=seen)


def end_former_secret(world):
    replace_secret(world)()
    return partial(secrets.end_former, world.cron.row, OPERATOR)


def rotate_keys(world):
    return partial(signing_keys.rotate, OPERATOR, force=True)


def first_keys(world):
    SigningKey.objects.all().delete()
    signing_keys.forget()
    return signing_keys.signer


def proposed(world):
    diff = changes.Diff({"enabled": False}, {"enabled": True})
    kind, change = ProposedChange.Kind.CLIENT, ProposedChange.Change.CHANGED
    wanted = proposals.ProposedValues(kind, change, str(world.web.row.pk), "web", diff)
    return proposals.propose(wanted, PROPOSER)


def approve(world):
    made = proposed(world)
    return partial(proposals.approve, made, OPERATOR, reason="seen", apply=lambda _row: None)


def approve_what_is_stale(world):
    def apply(row):
        # What it has done so far is undone, with its event
        audit.record(CLIENT_CHANGED, OPERATOR, client_id="web")
        raise proposals.Stale("It is another row by now.")

    made = proposed(world)
    return partial(proposals.approve, made, OPERATOR, reason="seen", apply=apply)


def reject(world):
    return partial(proposals.reject, proposed(world), OPERATOR, reason="no")


def withdraw_proposal(world):
    return partial(proposals.withdraw, proposed(world), PROPOSER, reason="a slip")


def keep_request(world):
    waiter = pending_requests.Waiter("browser", "", "192.0.2.1")
    kind = pending_requests.Kind.REQUEST
    return partial(pending_requests.keep, kind, {}, client_id="web", waiter=waiter)


def take_messages(world):
    now, payload = clock.now(), {"delegation_id": str(uuid4())}
    kind = OutboxMessage.MessageKind.REVOKED
    OutboxMessage.objects.create(kind=kind, payload=payload, created_at=now, due_at=now)
    return partial(outbox._take, 10)


def discard_keys(world):
    signing_keys.signer()
    SigningKey.objects.filter(expires_at=None).update(encrypted_private_key=b"of another secret")
    signing_keys.forget()
    return partial(signing_keys._discard_unreadable, OPERATOR)


# What each does, what its caller gets, and the events that tell of it
EVERY = {
    "code": (redeem, "Issued", ["token.issued"]),
    "code again": (replay, "invalid_grant", ["delegation.revoked"]),
    "refresh": (refresh, "Issued", ["token.refreshed"]),
    "refresh again": (retry, "Issued", ["token.refresh_retried"]),
    "refresh token reused": (reuse, "invalid_grant", ["delegation.revoked"]),
    "device poll": (poll, "Issued", ["token.issued"]),
    "client credentials": (client_credentials, "Issued", ["delegation.created", "token.issued"]),
    "exchange": (exchange, "tuple", ["delegation.chained", "token.exchanged"]),
    "allow": (allow, "ConsentOutcome", ["consent.granted", "delegation.created", "code.issued"]),
    "deny": (deny, "ConsentOutcome", ["consent.denied"]),
    "silent": (proceed, "ConsentOutcome", ["delegation.created", "code.issued"]),
    "device start": (start, "Started", ["device.started"]),
    "allow a device": (allow_device, "ConsentOutcome", ["consent.granted", "delegation.created"]),
    "deny a device": (deny_device, "ConsentOutcome", ["consent.denied"]),
    "confirm": (confirm, "NoneType", ["consent.confirmed"]),
    "refuse to confirm": (refuse, "NoneType", ["consent.confirmation_refused"]),
    "give a refresh token back": (
        partial(give_back, kind="refresh_token"),
        "NoneType",
        ["delegation.revoked"],
    ),
    "give an access token back": (
        partial(give_back, kind="access_token"),
        "NoneType",
        ["token.revoked"],
    ),
    "end": (end, "1", ["delegation.revoked"]),
    "end all": (end_all, "1", ["delegation.revoked"]),
    "narrow": (narrow, "Delegation", ["delegation.narrowed"]),
    "revoke one": (revoke_one, "1", ["delegation.revoked"]),
    "narrow one": (narrow_one, "Delegation", ["delegation.narrowed"]),
    "revoke many": (revoke_many, "Task", ["delegation.revoked"]),
    "replace a secret": (replace_secret, "Replaced", ["client.secret_rotated"]),
    "end a former secret": (end_former_secret, "True", ["client.previous_secret_ended"]),
    "approve a change": (approve, "NoneType", ["change.approved"]),
    "approve what is stale": (approve_what_is_stale, "invalid_request", ["change.stale"]),
    "reject a change": (reject, "NoneType", ["change.rejected"]),
    "withdraw a change": (withdraw_proposal, "NoneType", ["change.withdrawn"]),
    "keep a request": (keep_request, "str", []),
    # Those that it took and lost are due again when their lease is over
    "take messages": (take_messages, "list", []),
    "rotate keys": (rotate_keys, "SigningKey", ["key.rotated"]),
    "discard keys": (discard_keys, "SigningKey", ["key.rotated"]),
    "first keys": (first_keys, "SigningIdentity", ["key.created", "key.created"]),
}

# What a new service with a transaction of its own has to be added to, with a line above
OWNED = {
    "actions.end",
    "actions.end_all",
    "actions.narrow",
    "approval.approve",
    "approval.reject",
    "bulk._revoke",
    "bulk.narrow_one",
    "bulk.revoke_one",
    "client_credentials._issue",
    "decision.decide",
    "device_code._poll",
    "outbox._take",
    "pending_requests.keep",
    "preparation._grant_without_prompt",
    "proposals.approve",
    "proposals.reject",
    "proposals.withdraw",
    "revocation._give_back",
    "secrets.end_former",
    "secrets.replace",
    "signing_keys._discard_unreadable",
    "signing_keys._make_first",
    "signing_keys._rotate",
    "single_use._redeem",
    "start._store",
    "token_exchange._issue",
    # Parts of those above, which may also stand alone
    "approval.withdraw",
    "creation.narrow",
    "revocation._end_chosen",
    "revocation.access_token",
    "revocation.subtree",
    # Deletes what it writes as an event: a second time there is nothing left
    "event_counts._write_some",
}
