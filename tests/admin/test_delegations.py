import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Permission

from delegation_app.models import AuditEvent, Delegation, DelegationBlock
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from tests.admin.conftest import page
from tests.support import SecureClient
from tests.support.world import Story, delegation_of

pytestmark = pytest.mark.compat

LIST = "/admin/delegation_app/delegation/"


def listed(client, **query):
    return {row.pk for row in client.get(LIST, query).context["cl"].result_list}


def text_of(response):
    return " ".join(response.content.decode().split())


def test_revoke_when_confirmed_with_a_reason_then_everything_under_it_is_dead(story, operator):
    tokens = story.tokens()
    delegation = delegation_of(tokens)
    url = page("delegation", "revoke", delegation.pk)

    question = text_of(operator.get(url))
    assert "1 delegation is revoked, with all its tokens." in question
    assert "1 live access token stops working." in question
    assert "1 live refresh token stops working." in question
    assert "Affects 1 client and 1 user." in question

    response = operator.post(url, {"reason": "laptop stolen"}, follow=True)
    assert response.redirect_chain == [(page("delegation", "change", delegation.pk), 302)]
    assert "1 delegation ended." in text_of(response)
    assert not story.is_active(tokens["access_token"])
    assert story.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    event = AuditEvent.objects.get(event="delegation.revoked")
    user = operator.session["_auth_user_id"]
    assert (event.actor, event.reason, event.ip_address) == (
        f"user:{user}",
        "laptop stolen",
        "127.0.0.1",
    )
    assert event.request_id


def test_revoke_when_done_already_then_it_says_so_and_there_is_no_button(story, operator):
    delegation = delegation_of(story.tokens())
    revocation.subtree(delegation, audit.RequestContext(), reason="before")
    assert "delegation-do" not in text_of(operator.get(page("delegation", "change", delegation.pk)))
    for method in (operator.get, operator.post):
        response = method(page("delegation", "revoke", delegation.pk), follow=True)
        assert "It was revoked already." in text_of(response)
    assert AuditEvent.objects.filter(event="delegation.revoked").count() == 1


@pytest.mark.parametrize("reason", ["", "   ", "x" * 256, "a\x00b"])
def test_revoke_when_the_reason_is_missing_or_malformed_then_it_asks_again(story, operator, reason):
    delegation = delegation_of(story.tokens())
    response = operator.post(page("delegation", "revoke", delegation.pk), {"reason": reason})
    assert response.status_code == 200
    assert "errorlist" in text_of(response)
    assert Delegation.objects.live().count() == 1


def test_revoke_when_somebody_may_only_revoke_then_view_is_needed_too(story, django_user_model):
    delegation = delegation_of(story.tokens())
    user = django_user_model.objects.create_user("half", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="revoke_delegation"))
    client = SecureClient()
    client.force_login(user)
    url = page("delegation", "revoke", delegation.pk)
    assert client.get(url).status_code == 403
    assert client.post(url, {"reason": "x"}).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_delegation"))
    assert client.get(url).status_code == 200


def test_detail_when_opened_then_it_tells_the_whole_story(story, operator):
    tokens = story.tokens()
    story.refresh(tokens["refresh_token"])
    delegation = delegation_of(tokens)
    html = text_of(operator.get(page("delegation", "change", delegation.pk)))
    assert "alice lets Web act at Service A with" in html
    assert "Live until" in html
    for heading in ("Access tokens", "Refresh tokens", "Authorization codes", "Audit events"):
        assert heading in html
    for word in ("rotated", "redeemed", "Delegation created", "Token refreshed"):
        assert word in html
    assert page("consentrecord", "change", delegation.consent_id) in html
    assert page("user", "change", story.world.alice.pk, app="auth") in html
    assert page("application", "change", story.world.web.row.pk, app="oauth2_provider") in html
    assert "_save" not in html


def test_detail_when_somebody_may_see_delegations_alone_then_nothing_else_is_shown(
    story, django_user_model
):
    delegation = delegation_of(story.tokens())
    user = django_user_model.objects.create_user("narrow", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_delegation"))
    client = SecureClient()
    client.force_login(user)
    html = text_of(client.get(page("delegation", "change", delegation.pk)))
    assert "Audit events" not in html
    assert "Access tokens" not in html
    assert page("consentrecord", "change", delegation.consent_id) not in html


def test_list_when_filtered_by_state_then_each_state_has_its_own(story, operator):
    world = story.world
    live = delegation_of(story.tokens())
    revoked = delegation_of(story.tokens(world.other))
    revocation.subtree(revoked, audit.RequestContext(), reason="x")
    expired = delegation_of(story.tokens(world.mobile))
    Delegation.objects.filter(pk=expired.pk).update(
        issued_at="2020-01-01T00:00Z", expires_at="2020-01-02T00:00Z"
    )
    suspended = delegation_of(Story(world, world.bob).tokens())
    world.bob.is_active = False
    world.bob.save()
    assert listed(operator, state="live") == {live.pk}
    assert listed(operator, state="suspended") == {suspended.pk}
    assert listed(operator, state="expired") == {expired.pk}
    assert listed(operator, state="revoked") == {revoked.pk}
    html = text_of(operator.get(LIST))
    for state in ("live", "suspended", "expired", "revoked"):
        assert f'<span class="delegation-mark delegation-{state}">' in html
        assert f"</svg> {state}</span>" in html


def test_list_when_searched_then_it_finds_by_person_client_and_id(story, operator):
    world = story.world
    alices = delegation_of(story.tokens())
    bobs = delegation_of(Story(world, world.bob).tokens(world.other))
    story.client_credentials()
    crons = Delegation.objects.get(subject="client:cron")
    for term, expected in {
        "alice": {alices.pk},
        f"user:{world.bob.pk}": {bobs.pk},
        "Web": {alices.pk},
        "other": {bobs.pk},
        "client:cron": {crons.pk},
        str(crons.public_id): {crons.pk},
        "00000000-0000-0000-0000-000000000000": set(),
        "nobody": set(),
        "' or 1=1 --": set(),
        " ": {alices.pk, bobs.pk, crons.pk},
    }.items():
        assert listed(operator, q=term) == expected, term


def test_list_when_filtered_by_grant_type_then_the_others_are_gone(story, operator):
    story.tokens()
    story.client_credentials()
    found = listed(operator, grant="client_credentials")
    assert found == {Delegation.objects.get(subject="client:cron").pk}


def select(client, rows, **more):
    data = {"action": "revoke_selected", ACTION_CHECKBOX_NAME: [row.pk for row in rows], **more}
    return client.post(LIST, data)


def confirm(client, question, reason="clean up"):
    confirmation = question.context["confirmation"]
    return client.post(LIST, {**dict(confirmation.hidden), "reason": reason}, follow=True)


def test_bulk_when_confirmed_then_exactly_the_selected_end(story, operator):
    world = story.world
    first, second = delegation_of(story.tokens()), delegation_of(story.tokens(world.other))
    kept = delegation_of(Story(world, world.bob).tokens())
    question = select(operator, [first, second])
    assert "2 delegations are revoked" in text_of(question)
    assert "Affects 2 clients and 1 user." in text_of(question)
    assert Delegation.objects.live().count() == 3

    response = confirm(operator, question)
    assert "2 delegations ended." in text_of(response)
    assert set(Delegation.objects.live()) == {kept}
    events = AuditEvent.objects.filter(event="delegation.revoked", reason="clean up")
    assert events.count() == 2


def test_bulk_when_one_was_made_from_another_then_each_is_counted_once(story, operator):
    top = delegation_of(story.tokens())
    middle, leaf = (
        Delegation(
            delegate=story.world.service_a_client.row,
            principal_user=story.world.alice,
            subject=top.subject,
            delegate_client_id="service-a",
            scopes=top.scopes,
            audience=top.audience,
            grant_type="token_exchange",
            issued_at=top.issued_at,
        )
        for _ in range(2)
    )
    middle.parent = top
    middle.save()
    leaf.parent = middle
    leaf.save()
    kept = delegation_of(story.tokens(story.world.other))
    assert "2 delegations are revoked" in text_of(select(operator, [middle]))
    question = select(operator, [middle, top])
    assert "3 delegations are revoked" in text_of(question)
    assert "3 delegations ended." in text_of(confirm(operator, question))
    assert set(Delegation.objects.live()) == {kept}


def test_bulk_when_everything_is_selected_then_what_comes_later_is_kept(story, operator):
    story.tokens()
    rows = Delegation.objects.all()
    question = select(operator, rows[:1], select_across="1")
    later = delegation_of(story.tokens(story.world.other))
    confirm(operator, question)
    assert set(Delegation.objects.live()) == {later}


def test_bulk_when_the_reason_is_missing_then_it_asks_again(story, operator):
    row = delegation_of(story.tokens())
    response = confirm(operator, select(operator, [row]), reason=" ")
    assert "errorlist" in text_of(response)
    assert Delegation.objects.live().count() == 1


@pytest.mark.parametrize("keys", ["", "x", "1,,2", "1;2", "٣", ",".join(["1"] * 1001)])
def test_bulk_when_the_keys_are_forged_then_nothing_happens(story, operator, keys):
    row = delegation_of(story.tokens())
    response = select(operator, [row], delegations=keys, reason="x", select_across="1")
    assert response.status_code == 302
    assert Delegation.objects.live().count() == 1


def test_bulk_when_all_have_ended_then_it_says_so(story, operator):
    row = delegation_of(story.tokens())
    revocation.subtree(row, audit.RequestContext(), reason="x")
    assert select(operator, [row]).status_code == 302
    assert "All of it had ended already." in text_of(operator.get(LIST))


def test_bulk_when_an_auditor_posts_it_then_nothing_happens(story, auditor):
    row = delegation_of(story.tokens())
    select(auditor, [row], delegations=str(row.pk), reason="x", select_across="1")
    assert Delegation.objects.live().count() == 1


@pytest.mark.parametrize("action", ["delete_selected", "delete"])
def test_bulk_when_deletion_is_asked_for_then_there_is_no_such_action(story, operator, action):
    story.tokens()
    assert "delete_selected" not in text_of(operator.get(LIST))
    operator.post(LIST, {"action": action, ACTION_CHECKBOX_NAME: [1], "post": "yes"})
    assert Delegation.objects.count() == 1


def test_block_when_lifted_then_the_client_gets_tokens_again(story, operator):
    story.client_credentials()
    stopped = Delegation.objects.get()
    change = page("delegation", "change", stopped.pk)
    question = text_of(operator.get(page("delegation", "revoke", stopped.pk)))
    assert "Cron cannot obtain any delegation for itself." in question
    assert "until an operator lifts the block" in question
    operator.post(page("delegation", "revoke", stopped.pk), {"reason": "ran wild"})
    assert story.client_credentials().status_code == 400

    block = DelegationBlock.objects.get()
    own = page("delegationblock", "change", block.pk)
    lift = page("delegationblock", "lift", block.pk)
    assert own in text_of(operator.get(change))
    assert lift in text_of(operator.get(own))
    assert "Lift this block?" in text_of(operator.get(lift))
    assert "This field is required." in text_of(operator.post(lift, {}))
    assert story.client_credentials().status_code == 400
    response = operator.post(lift, {"reason": "mended"}, follow=True)
    assert "The block was lifted." in text_of(response)
    assert lift not in text_of(response)
    assert "mended" in text_of(response)
    assert story.client_credentials().status_code == 200
    assert own not in text_of(operator.get(change))

    again = operator.post(lift, {"reason": "mended"}, follow=True)
    assert "The block was lifted before." in text_of(again)
    assert AuditEvent.objects.filter(event="block.lifted").count() == 1


def test_blocks_when_searched_then_by_user_client_and_delegation(story, operator):
    row = delegation_of(story.tokens())
    operator.post(page("delegation", "revoke", row.pk), {"reason": "x"})
    story.client_credentials()
    cron = Delegation.objects.latest("id")
    operator.post(page("delegation", "revoke", cron.pk), {"reason": "x"})
    listing = page("delegationblock", "changelist")

    assert "2 blocks" in text_of(operator.get(listing))
    for term in ("alice", "web", "Web", row.subject, str(row.public_id)):
        found = text_of(operator.get(listing, {"q": term}))
        assert "1 block" in found, term
        assert "Web cannot obtain" in found
    assert "0 blocks" in text_of(operator.get(listing, {"q": "bob"}))
    assert "0 blocks" in text_of(operator.get(listing, {"lifted": "yes"}))
