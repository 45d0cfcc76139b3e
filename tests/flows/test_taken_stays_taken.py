"""What a person or an operator took does not come back until it is allowed or lifted."""

import pytest

from delegation_app.models import AuditEvent, ConsentRecord, Delegation, DelegationBlock
from delegation_app.protocol.claims import client_subject, user_subject
from delegation_app.protocol.constraints import Constraints
from delegation_app.protocol.scope import Scope
from delegation_app.services import audit
from delegation_app.services.connections import actions
from delegation_app.services.consent import approval
from delegation_app.services.delegations import blocks, creation, revocation
from delegation_app.services.delegations import selection as delegation_selection
from delegation_app.services.delegations.narrowing import Narrowing
from tests.support.world import claims_of, delegation_of, redirected

OPERATOR = audit.RequestContext(actor="user:99")
READ, WRITE, BOTH = "read:metrics", "write:alerts", "read:metrics write:alerts"


def as_alice(story):
    return audit.RequestContext(actor=user_subject(story.world.alice.pk))


def is_silent(response):
    """Whether the app gets a code without a page."""
    return response.status_code == 303 and "code" in redirected(response)


def narrowed(delegation, origin=OPERATOR, **to):
    return creation.narrow(delegation, Narrowing(**to), origin, reason="enough")


@pytest.fixture
def signed_out_once(story):
    """Alice allowed `read`; the app gave its token back, asked again, and she allowed again."""
    story.revoke(story.tokens(scope=READ)["refresh_token"])
    return story.tokens(scope=READ, prompt="consent")


def alice_ends_it(story, row):
    actions.end(row, as_alice(story), reason="")


def alice_ends_all_of_the_app(story, row):
    actions.end_all(story.world.alice, as_alice(story), reason="", client_id=row.delegate_client_id)


def alice_ends_everything(story, row):
    actions.end_all(story.world.alice, as_alice(story), reason="")


def operator_revokes_it(story, row):
    revocation.subtree(row, OPERATOR, reason="x")


def operator_revokes_several(story, row):
    revocation.revoke_delegations([row], OPERATOR, reason="x")


def operator_revokes_all_of_alice(story, row):
    revocation.of_user(story.world.alice, OPERATOR, reason="x")


def operator_revokes_all_of_the_app(story, row):
    revocation.of_client(row.delegate, OPERATOR, reason="x")


def operator_revokes_the_pair(story, row):
    revocation.of_user_at_client(story.world.alice, row.delegate, OPERATOR, reason="x")


def operator_withdraws_the_consent(story, row):
    approval.withdraw(row.consent, OPERATOR, reason="x")


WAYS = [
    alice_ends_it, alice_ends_all_of_the_app, alice_ends_everything, operator_revokes_it,
    operator_revokes_several, operator_revokes_all_of_alice, operator_revokes_all_of_the_app,
    operator_revokes_the_pair, operator_withdraws_the_consent,
]  # fmt: skip


@pytest.mark.parametrize("take", WAYS)
@pytest.mark.consequence(
    6,
    "a user or an operator revokes a delegation, or withdraws a consent",
    "no older consent brings it back: the user is asked again, and the page says what comes back",
)
def test_silent_sign_in_when_it_was_ended(story, signed_out_once, take):
    take(story, delegation_of(signed_out_once))

    assert not is_silent(story.authorize(scope=READ))
    silent = redirected(story.authorize(scope=READ, prompt="none"))
    assert silent["error"] == "consent_required"
    # She says yes on a page, and may come back without one from then on
    tokens = story.tokens(scope=READ)
    assert claims_of(tokens["access_token"])["scope"] == READ
    assert is_silent(story.authorize(scope=READ))


@pytest.mark.consequence(
    10,
    "a client revokes its own refresh token",
    "its delegation ends, and nothing is blocked: it was not taken",
)
def test_silent_sign_in_when_the_app_gave_it_back_itself(story):
    story.revoke(story.tokens(scope=READ)["refresh_token"])

    assert is_silent(story.authorize(scope=READ))
    assert not DelegationBlock.objects.exists()


@pytest.mark.consequence(
    7,
    "a scope, an audience or time is taken from a delegation",
    "the client gets the rest without a page, and asks the user for what was taken",
)
def test_silent_sign_in_when_one_scope_was_narrowed_away(story):
    story.revoke(story.tokens(scope=BOTH)["refresh_token"])
    narrowed(delegation_of(story.tokens(scope=BOTH, prompt="consent")), scope=Scope([READ]))

    assert not is_silent(story.authorize(scope=BOTH))
    assert not is_silent(story.authorize(scope=WRITE))
    code = redirected(story.authorize(scope=READ))["code"]
    assert story.redeem(code).json()["scope"] == READ


def test_page_when_something_was_taken(story):
    alice_ends_it(story, delegation_of(story.tokens(scope=READ)))

    page = story.authorize(scope=READ).content.decode()

    assert "You ended" in page
    assert "comes back" in page


def replay_the_code(story):
    code = story.code(scope=READ)
    for _ in range(2):
        story.redeem(code)


def reuse_the_refresh_token(story):
    first = story.tokens(scope=READ)["refresh_token"]
    second = story.refresh(first).json()["refresh_token"]
    story.refresh(second)
    story.refresh(first)


@pytest.mark.parametrize("replay", [replay_the_code, reuse_the_refresh_token])
def test_page_when_a_replay_ended_it(story, replay):
    replay(story)
    assert DelegationBlock.objects.get().blocked_by == "system"

    assert redirected(story.authorize(scope=READ, prompt="none"))["error"] == "consent_required"
    page = story.authorize(scope=READ).content.decode()

    assert "was used twice, and may be stolen. If you allow it, it comes back" in page
    assert "taken from" not in page


@pytest.mark.consequence(
    12,
    "a trusted client is ended",
    "it is trusted no longer for that user until they allow it on a page",
)
def test_trusted_app_when_it_was_ended(story):
    story.world.web.row.skip_authorization = True
    story.world.web.row.save()
    assert is_silent(story.authorize(scope=READ))
    alice_ends_it(story, Delegation.objects.get())

    assert not is_silent(story.authorize(scope=READ))
    story.tokens(scope=READ)
    assert is_silent(story.authorize(scope=READ))


def test_trusted_app_when_one_delegation_was_ended(story):
    story.world.web.row.skip_authorization = True
    story.world.web.row.save()
    ended, other = story.tokens(scope=READ), story.tokens(scope=BOTH)
    code = story.code(scope=BOTH)
    alice_ends_it(story, delegation_of(ended))

    assert story.refresh(other["refresh_token"]).json()["scope"] == WRITE
    assert story.redeem(code).json()["scope"] == WRITE


def test_everything_when_ended_without_anything_live(story):
    story.revoke(story.tokens(scope=READ)["refresh_token"])
    revocation.of_user_at_client(story.world.alice, story.world.web.row, OPERATOR, reason="x")

    assert not is_silent(story.authorize(scope=READ))


def test_selection_when_revoked_twice(story):
    selection = delegation_selection.of_user(story.world.alice)

    for _ in range(2):
        revocation.revoke_selections([selection], OPERATOR, reason="x")

    assert DelegationBlock.objects.active().count() == 2


# Clients that act for themselves


def test_cron_when_narrowed_then_the_next_token_of_the_same_delegation_says_what_is_left(story):
    token = story.client_credentials(scope=BOTH).json()["access_token"]
    narrowed(Delegation.objects.get(), scope=Scope([READ]))

    again = story.client_credentials(scope=BOTH).json()

    assert claims_of(again["access_token"])["scope"] == again["scope"] == READ
    assert claims_of(again["access_token"])["delegation_id"] == claims_of(token)["delegation_id"]
    event = AuditEvent.objects.filter(event="token.issued").latest("id")
    assert event.details["scope"] == READ


@pytest.mark.consequence(
    8,
    "an operator revokes or narrows what a client holds for itself",
    "neither another scope string nor waiting brings it back, until an operator lifts the block",
)
def test_cron_when_narrowed_then_another_scope_string_does_not_bring_it_back(story):
    story.client_credentials(scope=BOTH)
    narrowed(Delegation.objects.get(), scope=Scope([READ]))

    refused = story.client_credentials(scope=WRITE)
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    assert story.client_credentials(scope=READ).json()["scope"] == READ
    assert story.client_credentials().json()["scope"] == READ


def test_cron_when_a_block_is_lifted(story):
    story.client_credentials(scope=BOTH)
    narrowed(Delegation.objects.get(), scope=Scope([READ]))
    assert story.client_credentials(scope=BOTH).json()["scope"] == READ

    assert blocks.lift(DelegationBlock.objects.get(), OPERATOR, reason="mended")
    assert not blocks.lift(DelegationBlock.objects.get(), OPERATOR, reason="mended")

    assert story.client_credentials(scope=BOTH).json()["scope"] == BOTH
    event = AuditEvent.objects.get(event="block.lifted")
    assert (event.actor, event.subject) == ("user:99", client_subject("cron"))


@pytest.mark.parametrize("scopes", [[READ, WRITE, BOTH], [READ, READ, READ]])
@pytest.mark.consequence(
    11,
    "a limit allows a number of tokens",
    "it counts for the pair of principal and client, whatever the terms of the request",
)
def test_policy_with_one_token_ever_when_the_scope_varies(story, scopes):
    limit = Constraints.parse([{"type": "max_uses", "uses": 1}])
    story.world.cron.change(constraints=limit)

    answers = [story.client_credentials(scope=scope).status_code for scope in scopes]

    assert answers == [200, 400, 400]


@pytest.fixture
def passed_on(story):
    """Alice's app, and the token that service A got for service B."""
    tokens = story.tokens(scope=BOTH)
    return tokens, story.exchange(tokens["access_token"]).json()


@pytest.mark.consequence(
    9,
    "a delegation made by exchange is revoked or narrowed",
    "its client cannot obtain it again by another exchange or parent, until the user allows "
    "it on a page or an operator lifts the block",
)
def test_child_when_revoked(story, passed_on):
    tokens, child = passed_on
    revocation.subtree(delegation_of(child), OPERATOR, reason="x")

    assert story.exchange(tokens["access_token"]).json()["error"] == "invalid_target"
    again = story.tokens(scope=BOTH)
    for scope in (None, READ, WRITE):
        refused = story.exchange(again["access_token"], scope=scope)
        assert refused.json()["error"] == "invalid_target"


# High risk, and who confirms it


@pytest.fixture
def risky(settings, story):
    settings.DELEGATION = {**settings.DELEGATION, "SCOPE_RISKS": {WRITE: "high"}}
    story.world.web.change(confirm_risky=True)
    return story


def test_trusted_app_when_a_scope_has_to_be_confirmed(risky):
    risky.world.web.row.skip_authorization = True
    risky.world.web.row.save()

    assert is_silent(risky.authorize(scope=READ))
    page = risky.authorize(scope=BOTH)
    assert page.status_code == 200
    risky.answer(page)
    assert ConsentRecord.objects.filter(confirmation="pending").exists()
    assert not Delegation.objects.filter(scopes=BOTH).exists()


def test_consent_when_given_while_no_confirmation_was_wanted(risky):
    risky.world.web.change(confirm_risky=False)
    risky.revoke(risky.tokens(scope=BOTH)["refresh_token"])
    risky.world.web.change(confirm_risky=True)

    assert is_silent(risky.authorize(scope=READ))
    assert not is_silent(risky.authorize(scope=BOTH))
    assert not is_silent(risky.authorize(scope=WRITE))


def test_device_when_the_user_ends_the_app_before_it_is_confirmed(risky):
    risky.world.tv.change(confirm_risky=True)
    started = risky.start().json()
    risky.connect(risky.enter(started["user_code"]))
    record = ConsentRecord.objects.get(confirmation="pending")
    revocation.of_user_at_client(risky.world.alice, risky.world.tv.row, OPERATOR, reason="x")

    approval.approve(record, OPERATOR, reason="fine")

    assert risky.poll(started["device_code"]).json()["error"] == "access_denied"
    assert not Delegation.objects.exists()
