from delegation_app.models import AuditEvent, ConsentRecord, Delegation, DelegationBlock
from delegation_app.protocol.constraints import Constraints
from delegation_app.services import audit
from delegation_app.services.delegations import revocation
from tests.admin.conftest import page
from tests.support.world import Story, delegation_of

LIST = "/admin/delegation_app/consentrecord/"


def text_of(response):
    return " ".join(response.content.decode().split())


def listed(client, **query):
    return set(client.get(LIST, query).context["cl"].result_list.values_list("pk", flat=True))


def test_withdraw_when_confirmed_then_what_hangs_on_it_ends(story, operator):
    tokens = story.tokens()
    consent = delegation_of(tokens).consent
    url = page("consentrecord", "withdraw", consent.pk)
    assert url in text_of(operator.get(page("consentrecord", "change", consent.pk)))
    assert "1 delegation is revoked" in text_of(operator.get(url))

    response = operator.post(url, {"reason": "asked by phone"}, follow=True)
    assert "The consent was withdrawn." in text_of(response)
    assert url not in text_of(response)
    consent.refresh_from_db()
    assert consent.withdrawn_by == f"user:{operator.session['_auth_user_id']}"
    assert not story.is_active(tokens["access_token"])
    names = AuditEvent.objects.filter(reason="asked by phone").values_list("event", flat=True)
    assert sorted(names) == ["consent.withdrawn", "delegation.revoked"]


def test_withdraw_when_there_is_nothing_to_withdraw_then_it_says_so(story, operator):
    story.answer(story.authorize(), decision="deny")
    denied = ConsentRecord.objects.get()
    for method in (operator.get, operator.post):
        url = page("consentrecord", "withdraw", denied.pk)
        assert "This consent cannot be withdrawn." in text_of(
            method(url, {"reason": "x"}, follow=True)
        )
    assert not AuditEvent.objects.filter(event="consent.withdrawn").exists()


def test_withdraw_when_no_reason_is_given_then_it_asks_again(story, operator):
    story.tokens()
    url = page("consentrecord", "withdraw", ConsentRecord.objects.get().pk)
    assert "errorlist" in text_of(operator.post(url, {"reason": ""}))
    assert Delegation.objects.live().exists()


def test_detail_when_opened_then_it_shows_question_and_answer(story, operator):
    story.tokens(scopes=["read:metrics"])
    consent = ConsentRecord.objects.get()
    html = text_of(operator.get(page("consentrecord", "change", consent.pk)))
    for shown in ("read:metrics write:alerts", "web.example.com", "granted", "127.0.0.1"):
        assert shown in html
    assert page("delegation", "change", Delegation.objects.get().pk) in html
    assert "_save" not in html


def test_consent_when_there_are_limits_then_they_are_shown(story, operator):
    limits = Constraints.parse([{"type": "max_uses", "uses": 2}])
    story.world.web.change(constraints=limits)
    story.tokens()
    consent = ConsentRecord.objects.get()
    ConsentRecord.objects.update(constraints=limits, chosen_expiry="2031-05-04T03:02Z")
    for url in (LIST, page("consentrecord", "change", consent.pk)):
        html = text_of(operator.get(url))
        assert "At most 2 tokens in total." in html
        assert "May 4, 2031" in html


def test_list_when_searched_and_filtered_then_it_finds(story, operator):
    world = story.world
    alices = delegation_of(story.tokens()).consent
    bobs = delegation_of(Story(world, world.bob).tokens(world.other)).consent
    story.answer(story.authorize(world.mobile), decision="deny")
    denied = ConsentRecord.objects.get(decision="denied")
    operator.post(page("consentrecord", "withdraw", bobs.pk), {"reason": "x"})
    for query, expected in (
        ({"q": "bob"}, {bobs.pk}),
        ({"q": f"user:{world.alice.pk}"}, {alices.pk, denied.pk}),
        ({"q": "mobile"}, {denied.pk}),
        ({"q": str(alices.public_id)}, {alices.pk}),
        ({"q": "nobody"}, set()),
        ({"decision__exact": "denied"}, {denied.pk}),
        ({"withdrawn": "yes"}, {bobs.pk}),
        ({"withdrawn": "no"}, {alices.pk, denied.pk}),
    ):
        assert listed(operator, **query) == expected, query


def test_detail_when_delegations_hang_on_it_then_each_is_named_with_time_and_state(story, operator):
    first = delegation_of(story.tokens())
    second = delegation_of(story.tokens())
    Delegation.objects.update(consent=first.consent)
    revocation.subtree(second, audit.RequestContext(), reason="x")
    address = page("consentrecord", "change", first.consent.pk)
    html = text_of(operator.get(address))
    for row, word in ((first, "live"), (second, "revoked")):
        link = f'<a href="{page("delegation", "change", row.pk)}">alice → Web, '
        text = html.partition(link)[2].partition("</a>")[0]
        assert str(row.issued_at.year) in text
        assert text.endswith(word)
    assert f"user:{story.world.alice.pk} → web" not in html


def test_pages_when_a_record_is_shown_then_title_and_way_back_have_names(story, operator):
    row = delegation_of(story.tokens())
    revocation.subtree(row, audit.RequestContext(actor=f"user:{story.world.alice.pk}"), reason="x")
    for model, pk in (
        ("delegation", row.pk),
        ("delegationblock", DelegationBlock.objects.get().pk),
    ):
        html = text_of(operator.get(page(model, "change", pk)))
        assert '<li aria-current="page">alice → Web</li>' in html
        assert f"user:{story.world.alice.pk} → web" not in html
    html = text_of(operator.get(page("delegationblock", "lift", DelegationBlock.objects.get().pk)))
    assert "alice → Web</a></li>" in html
