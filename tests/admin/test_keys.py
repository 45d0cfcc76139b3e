from datetime import timedelta

import pytest
from django.utils import timezone

from delegation_app.models import AuditEvent, SigningKey
from delegation_app.services import signing_keys
from tests.admin.conftest import page

URL = "/admin/delegation_app/signingkey/rotate/"


def text_of(response):
    return " ".join(response.content.decode().split())


def states():
    return dict(SigningKey.objects.values_list("kid", "state"))


@pytest.fixture
def made(db):
    signing_keys.signer()
    return states()


def test_rotate_when_the_next_key_is_known_then_it_signs(made, operator):
    SigningKey.objects.update(created_at=timezone.now() - timedelta(hours=1))
    upcoming = SigningKey.objects.get(state="next").kid
    assert URL in text_of(operator.get(page("signingkey", "changelist")))
    assert "delegation-do" in text_of(operator.get(URL))
    response = operator.post(URL, follow=True)
    assert f"The key {upcoming} is active." in text_of(response)
    assert states()[upcoming] == "active"
    event = AuditEvent.objects.get(event="key.rotated")
    assert event.actor == f"user:{operator.session['_auth_user_id']}"


def test_rotate_when_it_is_too_early_then_it_says_how_long_to_wait_and_offers_force(made, operator):
    response = operator.post(URL)
    assert response.status_code == 200
    html = text_of(response)
    assert "Services may not have fetched the next key yet. Wait 300 seconds." in html
    assert 'name="force"' in html
    assert states() == made

    assert operator.post(URL, {"force": "on"}).status_code == 302
    assert sorted(states().values()) == ["active", "next", "retired"]


def test_rotate_when_the_active_key_was_stolen_then_it_is_withdrawn_at_once(made, operator):
    stolen = next(kid for kid, state in made.items() if state == "active")

    assert operator.post(URL, {"withdraw": "on"}).status_code == 302

    assert states()[stolen] == "retired"
    assert stolen not in {key["kid"] for key in signing_keys.published()}
    assert AuditEvent.objects.get(event="key.rotated").details["withdrawn"] is True


def test_detail_when_opened_then_the_private_half_is_not_there(made, operator):
    key = SigningKey.objects.get(state="active")
    html = text_of(operator.get(page("signingkey", "change", key.pk)))
    assert key.public_jwk["x"] in html
    assert bytes(key.encrypted_private_key).decode()[:40] not in html
    assert "encrypted_private_key" not in html
    assert "&quot;d&quot;" not in html
