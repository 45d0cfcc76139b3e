"""Attacks on the pages about a person's connections (SECURITY.md B11, B17)."""

import re
import uuid
from urllib.parse import urlencode

import pytest

from delegation_app.models import ConsentRecord, Delegation
from tests.services.test_connections import copies
from tests.support.answers import nothing_stored, recorded
from tests.support.chains import Chain
from tests.support.connections import ALL, LIST, at, mark_on, post, send, shown
from tests.support.world import FORM, Story, delegation_of

DEEDS = ("", "end", "narrow")


@pytest.fixture
def chain(story):
    return Chain(story)


@pytest.fixture
def bob(world):
    return Story(world, world.bob)


def fields_of(story, address):
    return {"person": mark_on(shown(story, address)), "scopes": ["read:metrics"]}


@pytest.mark.parametrize("deed", DEEDS)
def test_id_when_it_is_another_persons_or_nobodys(chain, bob, deed):
    mark = mark_on(shown(bob, ALL))
    addresses = [at(row, deed) for row in chain.rows]
    tail = f"/{deed}" if deed else ""
    addresses.append(f"{LIST}{uuid.uuid4()}{tail}")
    odd = ("1", "x", "%00", "%ff", "{}", str(uuid.uuid4()).upper(), "9" * 200)
    addresses += [f"{LIST}{text}{tail}" for text in odd]
    texts = set()
    with nothing_stored():
        for address in addresses:
            page = shown(bob, address, 404)
            texts.add(re.sub(r"<code>\w+</code>", "", page))
            if deed:
                answer = post(bob, address, person=mark, scopes="read:metrics")
                assert answer.status_code == 404
    assert len(texts) == 1
    assert chain.active() == [True, True, True]


def test_list_with_a_foreign_or_altered_cursor_is_refused(chain, story, bob):
    copies(chain.rows[0], 60)
    older = story.browser.get(LIST).context["older"]
    assert story.browser.get(older).status_code == 200
    of_another_filter = older.replace("show=live", "show=all")
    for browser, address in (
        (bob.browser, older),
        (story.browser, of_another_filter),
        (story.browser, f"{older}x"),
        *((story.browser, f"{LIST}?at={text}") for text in ("x", "~", "o1-1", "o1-1~", "%FF")),
    ):
        answer = browser.get(address)
        assert answer.status_code == 400, address
        assert "Invalid cursor." in answer.content.decode() or "%FF" in address


def test_app_when_only_others_use_it(chain, bob):
    mark = mark_on(shown(bob, ALL))
    with nothing_stored():
        for client_id in ("web", "service-a", "nobody"):
            assert bob.browser.get(f"{ALL}?app={client_id}").status_code == 404
            assert post(bob, ALL, person=mark, app=client_id).status_code == 404
    assert chain.active() == [True, True, True]


def test_client_credentials_when_a_client_acts_for_itself(story):
    row = delegation_of(story.client_credentials().json())
    shown(story, at(row), 404)


@pytest.mark.parametrize("address", ["end", "narrow", None])
def test_form_when_the_csrf_token_is_missing_wrong_or_from_elsewhere(
    chain, world, csrf_client, address
):
    address = ALL if address is None else at(chain.rows[0], address)
    csrf_client.force_login(world.alice)
    page = csrf_client.get(address).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
    fields = {"person": mark_on(page), "scopes": "read:metrics"}
    with nothing_stored(), recorded():
        for sent, headers in (
            ({}, {}),
            ({"csrfmiddlewaretoken": "x" * 64}, {}),
            ({"csrfmiddlewaretoken": token}, {"HTTP_ORIGIN": "https://evil.example"}),
            ({"csrfmiddlewaretoken": token}, {"HTTP_ORIGIN": "null"}),
            ({"csrfmiddlewaretoken": token}, {"HTTP_REFERER": "https://evil.example/"}),
            ({"csrfmiddlewaretoken": token}, {}),
        ):
            body = urlencode({**fields, **sent})
            answer = csrf_client.post(address, body, content_type=FORM, **headers)
            assert answer.status_code == 403
    good = urlencode({**fields, "csrfmiddlewaretoken": token})
    origin = {"HTTP_ORIGIN": "https://testserver"}
    assert csrf_client.post(address, good, content_type=FORM, **origin).status_code == 303


def test_form_when_another_person_signed_in_meanwhile(chain, world, story):
    bobs = Story(world, world.bob).tokens(world.mobile)
    mark = mark_on(shown(story, ALL))
    one = fields_of(story, at(chain.rows[0], "end"))
    story.browser.force_login(world.bob)
    with nothing_stored(), recorded():
        answer = post(story, ALL, person=mark)
        assert answer.status_code == 403
        assert b"does not belong to the signed-in user" in answer.content
        assert post(story, at(chain.rows[0], "end"), **one).status_code == 404
        assert post(story, at(delegation_of(bobs), "end"), **one).status_code == 403
    assert story.is_active(bobs["access_token"])


@pytest.mark.parametrize("mark", [None, "", "x", "user:1", ["a", "b"]])
def test_form_when_it_is_none_of_ours(chain, story, mark):
    with nothing_stored(), recorded():
        for address in (ALL, at(chain.rows[0], "end"), at(chain.rows[0], "narrow")):
            answer = post(story, address, person=mark, scopes="read:metrics")
            assert answer.status_code in {400, 403}


def test_address_when_it_carries_a_deed(chain, story):
    with nothing_stored(), recorded():
        for address in (ALL, at(chain.rows[0], "end"), at(chain.rows[0], "narrow")):
            fields = {**fields_of(story, address), "reason": "x", "lifetime": "3600"}
            for more in ({}, {"_method": "POST"}, {"confirm": "1"}):
                query = urlencode({**fields, **more}, doseq=True)
                assert story.browser.get(f"{address}?{query}").status_code == 200
                override = {"HTTP_X_HTTP_METHOD_OVERRIDE": "POST"}
                assert story.browser.get(f"{address}?{query}", **override).status_code == 200
            assert story.browser.head(address).status_code == 405
    assert chain.active() == [True, True, True]


def test_reason_when_it_forges_a_line(chain, story):
    send(story, at(chain.rows[0], "end"), reason="a\r\nb\x1b[31m\u2028c" + "x" * 300)
    row = Delegation.objects.get(pk=chain.rows[0].pk)
    assert row.revocation_reason.startswith("a\ufffd\ufffdb\ufffd[31m\ufffdc")
    assert len(row.revocation_reason) == 255


def test_plain_http_when_used(chain, world, plain_http_client):
    plain_http_client.force_login(world.alice)
    with nothing_stored():
        for address in (LIST, ALL, at(chain.rows[0])):
            assert plain_http_client.get(address).status_code == 400


def test_person_when_deactivated(chain, story, world):
    fields = fields_of(story, ALL)
    world.alice.is_active = False
    world.alice.save()
    assert story.browser.get(LIST).status_code == 302
    assert post(story, ALL, **fields).status_code == 302
    assert not Delegation.objects.exclude(revoked_at=None).exists()
    assert not ConsentRecord.objects.exclude(withdrawn_at=None).exists()
