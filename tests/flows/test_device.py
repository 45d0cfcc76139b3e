"""The device authorization grant: RFC 8628, from the device's side and from the person's."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from delegation_app.models import AccessToken, AuditEvent, ConsentRecord, Delegation, DeviceCode
from delegation_app.protocol.secrets import digest
from delegation_app.services.device import start
from tests.support import SecureClient
from tests.support.answers import never_stored, recorded, refusal_recorded, refused, refuses
from tests.support.world import (
    FORM,
    PASSWORD,
    SERVICE_A,
    SERVICE_B,
    Story,
    claims_of,
    delegation_of,
    filled_in,
)

pytestmark = pytest.mark.compat

DEVICE = "/oauth/device"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
REPEATED = (
    b"client_id=tv&client_id=tv",
    b"client_id=tv&scope=read:metrics&scope=read:metrics",
    b"client_id=tv&x=1&x=2",
)
CODE = re.compile("[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}")
START = "/oauth/device_authorization"


def nothing_was_granted():
    return not (Delegation.objects.exists() or ConsentRecord.objects.exists())


def is_code_form(page):
    return b'name="user_code"' in page.content and b'name="decision"' not in page.content


def is_question(page):
    return page.status_code == 200 and b'name="decision"' in page.content


def asks_to_sign_in(response):
    return response.status_code == 302 and response["Location"].startswith("/accounts/login/?next=")


# The device asks


@pytest.mark.conformance("DV-02")
def test_device_when_it_asks(story, world):
    with recorded("device.started"):
        response = story.start()
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    never_stored(response)
    answer = response.json()
    code = answer["user_code"]
    assert CODE.fullmatch(code)
    assert answer == {
        "device_code": answer["device_code"],
        "user_code": code,
        "verification_uri": "https://as.example.com/oauth/device",
        "verification_uri_complete": f"https://as.example.com/oauth/device?user_code={code}",
        "expires_in": 600,
        "interval": 5,
    }
    event = AuditEvent.objects.latest("id")
    assert (event.actor, event.client_id_value) == ("client:tv", "tv")
    assert nothing_was_granted()


@pytest.mark.conformance("DV-09", "GEN-12")
def test_device_codes_when_given(story):
    answers = [story.start().json() for _ in range(50)]
    codes = [answer["device_code"] for answer in answers]
    assert len(set(codes)) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", code) for code in codes)
    for position in range(43):
        assert len({code[position] for code in codes}) > 5
    stored = repr(list(DeviceCode.objects.values())) + repr(list(AuditEvent.objects.values()))
    for answer in answers:
        assert answer["device_code"] not in stored
        assert answer["user_code"] not in stored
        assert answer["user_code"].replace("-", "") not in stored


@pytest.mark.conformance("DV-01")
@pytest.mark.parametrize(
    ("data", "error", "status"),
    [
        ({"client_id": None}, "invalid_client", 401),
        ({"client_id": "unknown"}, "invalid_client", 401),
        ({"client_id": "web"}, "invalid_client", 401),
        ({"client_id": "web", "client_secret": "wrong"}, "invalid_client", 401),
        ({"scope": "delete:alerts"}, "invalid_scope", 400),
        ({"scope": "no:such"}, "invalid_scope", 400),
        ({"scope": 'a"b'}, "invalid_scope", 400),
        ({"resource": SERVICE_B}, "invalid_target", 400),
        ({"resource": "no uri"}, "invalid_target", 400),
        ({"constraints": '[{"type":"max_uses","uses":1}]'}, "invalid_request", 400),
        ({"authorization_details": "[]"}, "invalid_request", 400),
    ],
)
def test_device_when_it_asks_badly(story, data, error, status):
    fields = {"scope": "read:metrics", "client_id": "tv", **data}
    refuses(error, lambda: story.post(START, fields), status=status)
    assert not DeviceCode.objects.exists()


@pytest.mark.conformance("DV-01")
@pytest.mark.parametrize(
    "raw",
    [b"scope=%00&client_id=tv", b"scope=%ff&client_id=tv", b"a" * 2**20, *REPEATED],
    ids=["NUL", "no UTF-8", "1 MB", "client twice", "scope twice", "anything twice"],
)
def test_device_when_what_it_sends_can_not_be_read(story, raw):
    with recorded():
        refused(story.wire.post(START, raw, content_type=FORM), "invalid_request")
    assert not DeviceCode.objects.exists()


@pytest.mark.conformance("DV-01")
@pytest.mark.parametrize("name", ["web", "mobile", "cron"])
def test_device_when_its_client_may_not_use_the_grant(story, name):
    with refusal_recorded("unauthorized_client", client_id_value=name):
        refused(story.start(getattr(story.world, name)), "unauthorized_client")


def test_confidential_client_when_it_authenticates(story, world):
    world.web.change(grants=[GRANT])
    assert story.poll(story.approved(world.web), world.web).status_code == 200
    code = story.start(world.web).json()["device_code"]
    with refusal_recorded("invalid_client"):
        response = story.token(world.tv, client_id="web", grant_type=GRANT, device_code=code)
    refused(response, "invalid_client", 401)


# A code that is there already


def draw(monkeypatch, *codes):
    drawn = iter(codes)
    monkeypatch.setattr(start, "new_user_code", lambda: next(drawn))


def test_user_code_when_it_is_anothers_already(story, monkeypatch):
    draw(monkeypatch, "WDJB-MJHT", "WDJB-MJHT", "BBBB-CCCC")
    assert story.start().json()["user_code"] == "WDJB-MJHT"
    with recorded("device.started"):
        assert story.start().json()["user_code"] == "BBBB-CCCC"
    assert is_question(story.enter("WDJB-MJHT"))


@pytest.mark.parametrize("over", ["expired", "approved", "denied"])
def test_user_code_when_nobody_can_type_it_any_more(story, monkeypatch, clock, over):
    draw(monkeypatch, *["WDJB-MJHT"] * 3)
    first = story.start().json()
    if over == "expired":
        clock.forward(seconds=600)
    else:
        story.connect(story.enter("WDJB-MJHT"), "allow" if over == "approved" else "deny")
    story.browser.force_login(story.world.alice)
    second = story.start().json()
    assert second["user_code"] == "WDJB-MJHT"
    assert second["device_code"] != first["device_code"]
    assert story.connect(story.enter("WDJB-MJHT")).status_code == 200
    assert story.poll(second["device_code"]).status_code == 200
    assert DeviceCode.objects.count() == 2


def test_user_code_when_all_that_are_drawn_are_taken(story, monkeypatch):
    monkeypatch.setattr(start, "new_user_code", lambda: "WDJB-MJHT")
    story.start()
    refuses("temporarily_unavailable", story.start, status=503)
    assert DeviceCode.objects.count() == 1


# The device polls


@pytest.mark.conformance("DV-03")
def test_poll_when_nobody_has_answered(story):
    code = story.start().json()["device_code"]
    with recorded():
        response = story.poll(code)
    refused(response, "authorization_pending")
    assert DeviceCode.objects.get().last_polled_at is not None


@pytest.mark.conformance("DV-04")
def test_poll_when_it_is_too_quick(story, clock):
    code = story.start().json()["device_code"]
    polls = [
        # seconds since the poll before, the answer, the interval from then on
        (0, "authorization_pending", 5),
        (1, "slow_down", 10),
        (5, "slow_down", 15),
        (15, "authorization_pending", 15),
        (14, "slow_down", 20),
        (20, "authorization_pending", 20),
    ]
    for seconds, error, interval in polls:
        clock.forward(seconds=seconds)
        with recorded():
            refused(story.poll(code), error)
        assert DeviceCode.objects.get().interval == interval


def test_poll_when_the_interval_is_a_setting(story, clock, settings):
    settings.DELEGATION = {**settings.DELEGATION, "DEVICE_POLLING_INTERVAL": 2}
    started = story.start().json()
    assert started["interval"] == 2
    story.poll(started["device_code"])
    clock.forward(seconds=2)
    refused(story.poll(started["device_code"]), "authorization_pending")


@pytest.mark.conformance("DV-05")
@pytest.mark.parametrize("how", ["button", "nothing ticked"])
def test_poll_when_the_person_denied(story, how):
    started = story.start().json()
    page = story.enter(started["user_code"])
    with recorded("consent.denied"):
        done = story.connect(page, "deny") if how == "button" else story.connect(page, scopes=[])
    assert done.status_code == 200
    assert "denied" in done.content.decode()
    refuses("access_denied", lambda: story.poll(started["device_code"]))
    record = ConsentRecord.objects.get()
    assert (record.decision, record.redirect_host) == ("denied", "(device)")
    assert DeviceCode.objects.get().consent == record
    assert not Delegation.objects.exists()


@pytest.mark.conformance("DV-05")
@pytest.mark.parametrize("approved", [False, True])
def test_poll_when_the_code_has_expired(story, clock, approved):
    code = story.approved() if approved else story.start().json()["device_code"]
    clock.forward(seconds=599)
    assert story.poll("x").status_code == 400
    clock.forward(seconds=1)
    refuses("expired_token", lambda: story.poll(code))
    assert not AccessToken.objects.exists()


@pytest.mark.conformance("DV-06")
@pytest.mark.parametrize(
    "code",
    ["unknown", "a" * 43, "a" * 60_000, "\u00e9\U0001f511", "WDJB-MJHT"],
    ids=["short", "well-formed", "long", "not ASCII", "user code"],
)
def test_poll_when_the_code_is_unknown(story, code):
    story.start()
    refuses("invalid_grant", lambda: story.poll(code))


@pytest.mark.conformance("DV-06")
def test_poll_when_the_code_is_another_clients(story, world):
    world.web.change(grants=[GRANT])
    waiting, code = story.start().json()["device_code"], story.approved()
    for stolen in (waiting, code):
        with refusal_recorded("invalid_grant", client_id_value="web"):
            refused(story.poll(stolen, world.web), "invalid_grant")
    # Nor does it make the right one slow down
    assert DeviceCode.objects.get(digest=digest(waiting)).last_polled_at is None
    assert story.poll(code).status_code == 200


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"device_code": None}, "invalid_request"),
        ({"device_code": ""}, "invalid_request"),
        ({"device_code": ["a", "b"]}, "invalid_request"),
        ({"device_code": "a\x00"}, "invalid_request"),
        ({"device_code": "a" * 2**20}, "invalid_request"),
        ({"resource": ["no uri"]}, "invalid_target"),
        ({"resource": [SERVICE_B]}, "invalid_target"),
    ],
    ids=["missing", "empty", "twice", "NUL", "1 MB", "no resource", "another resource"],
)
def test_poll_when_it_is_malformed(story, fields, error):
    code = story.approved()
    sent = {"grant_type": GRANT, "device_code": code, **fields}
    refused(story.token(story.world.tv, **sent), error)
    assert story.poll(code).status_code == 200


@pytest.mark.conformance("DV-07")
def test_poll_when_approved(story, world):
    code = story.approved()
    with recorded("token.issued"):
        response = story.poll(code)
    assert response.status_code == 200
    never_stored(response)
    answer = response.json()
    assert answer["scope"] == "read:metrics write:alerts"
    claims = claims_of(answer["access_token"])
    assert (claims["sub"], claims["client_id"]) == (f"user:{world.alice.pk}", "tv")
    assert claims["aud"] in (SERVICE_A, [SERVICE_A])
    assert story.is_active(answer["access_token"])
    assert story.refresh(answer["refresh_token"], world.tv).status_code == 200
    for _ in range(2):
        refuses("invalid_grant", lambda: story.poll(code))
    # A device that lost the answer asks again; that is no theft
    assert story.is_active(answer["access_token"])
    assert AccessToken.objects.filter(delegation=delegation_of(answer)).count() == 2


@pytest.mark.conformance("DV-15")
def test_resource_when_the_device_names_one(story, world):
    world.tv.policy.audiences.add(world.service_b)
    code = story.approved(resource=SERVICE_B)
    token = story.poll(code).json()["access_token"]
    assert claims_of(token)["aud"] in (SERVICE_B, [SERVICE_B])
    both = story.approved(resource=[SERVICE_A, SERVICE_B])
    token = story.poll(both, resource=SERVICE_A).json()["access_token"]
    assert claims_of(token)["aud"] in (SERVICE_A, [SERVICE_A])


def test_constraints_when_policy_and_device_bring_some(story, world):
    world.tv.change(may_request_constraints=True)
    wanted = '[{"type":"max_uses","uses":1}]'
    started = story.start(constraints=wanted).json()
    page = story.enter(started["user_code"])
    assert "Limits" in page.content.decode()
    story.connect(page)
    assert story.poll(started["device_code"]).status_code == 200
    delegation = Delegation.objects.get()
    assert (delegation.max_uses, delegation.uses) == (1, 1)
    assert ConsentRecord.objects.get().constraints == delegation.constraints


# Approval makes a delegation


@pytest.mark.conformance("DV-14")
def test_approval_when_given(story, world):
    started = story.start().json()
    page = story.enter(started["user_code"])
    with recorded("consent.granted", "delegation.created"):
        done = story.connect(page, scopes=["read:metrics"], lifetime="86400")
    assert "Return to your device" in done.content.decode()
    record, delegation, code = (
        ConsentRecord.objects.get(),
        Delegation.objects.get(),
        DeviceCode.objects.get(),
    )
    assert (code.delegation, code.consent, delegation.consent) == (delegation, record, record)
    assert delegation.grant_type == GRANT
    assert (delegation.principal_user, delegation.delegate) == (world.alice, world.tv.row)
    assert str(delegation.scopes) == str(record.scopes_granted) == "read:metrics"
    assert (str(record.scopes_refused), record.redirect_host) == ("write:alerts", "(device)")
    assert (record.client_name, record.text_version) == ("Tv", "5")
    assert record.chosen_expiry - record.decided_at == timedelta(days=1)
    assert delegation.expires_at == record.chosen_expiry
    assert delegation.auth_time is not None
    answer = story.poll(started["device_code"]).json()
    assert answer["scope"] == "read:metrics"


def test_consent_when_given_for_a_device(story, world):
    world.web.change(grants=[GRANT, "authorization_code"])
    story.approved(world.web)
    assert is_question(story.authorize())
    # Nor the other way round: a device is asked about each time
    story.code()
    assert is_question(story.enter(story.start(world.web).json()["user_code"]))


def test_operator_when_looking_at_the_delegation(story):
    story.poll(story.approved())
    delegation, code = Delegation.objects.get(), DeviceCode.objects.get()
    operator = SecureClient()
    operator.force_login(get_user_model().objects.create_superuser("root"))
    html = operator.get(
        f"/admin/delegation_app/delegation/{delegation.pk}/change/"
    ).content.decode()
    assert "Device codes" in html
    assert code.digest[:8] in html
    assert code.digest not in html


# The page


@pytest.mark.conformance("DV-11")
def test_page_when_nobody_is_signed_in(world):
    story = Story(world)
    code = story.start().json()["user_code"]
    response = story.browser.get(f"{DEVICE}?user_code={code}")
    assert asks_to_sign_in(response)
    back = response.wsgi_request.build_absolute_uri(response["Location"])
    login = story.browser.get(back)
    field = re.search(r'name="next" value="([^"]+)"', login.content.decode())[1]
    data = {"username": "alice", "password": PASSWORD, "next": field.replace("&amp;", "&")}
    signed_in = story.browser.post("/accounts/login/", data)
    page = story.browser.get(signed_in["Location"])
    assert is_code_form(page)
    assert f'value="{code}"' in page.content.decode()
    assert asks_to_sign_in(Story(world).enter(code))
    assert asks_to_sign_in(Story(world).device({"handle": "x", "decision": "allow"}))
    assert nothing_was_granted()


@pytest.mark.conformance("DV-10")
def test_page_when_the_complete_address_is_opened(story):
    started = story.start().json()
    with recorded():
        page = story.browser.get(started["verification_uri_complete"])
    assert is_code_form(page)
    assert f'value="{started["user_code"]}"' in page.content.decode()
    question = story.enter(started["user_code"])
    html = question.content.decode()
    for part in (
        f"<strong>{started['user_code']}</strong>", "<strong>Tv</strong>", "<strong>alice</strong>",
        "Another person may have started this.", "Read metrics", "<code>write:alerts</code>",
        "Service A", SERVICE_A,
    ):  # fmt: skip
        assert part in html
    fields = set(re.findall(r'<(?:input|button|select)[^>]* name="([^"]+)"', html))
    assert fields == {"csrfmiddlewaretoken", "handle", "scopes", "lifetime", "decision"}
    refused(story.poll(started["device_code"]), "authorization_pending")
    assert nothing_was_granted()


@pytest.mark.conformance("DV-09")
def test_pages_when_shown(story):
    started = story.start().json()
    form = story.browser.get(started["verification_uri_complete"])
    question = story.enter(started["user_code"])
    done = story.connect(question)
    for page in (form, question, done):
        assert started["device_code"].encode() not in page.content
        assert digest(started["device_code"]).encode() not in page.content
    assert started["device_code"] not in repr(dict(story.browser.session))
    assert started["user_code"] not in repr(dict(story.browser.session))


@pytest.mark.conformance("DV-12")
def test_forms_when_posted_without_the_csrf_token(world):
    story = Story(world)
    story.browser = SecureClient(enforce_csrf_checks=True)
    story.browser.force_login(world.alice)
    code = story.start().json()["user_code"]
    origin = {"HTTP_ORIGIN": "https://testserver"}
    assert story.device({"user_code": code}, **origin).status_code == 403
    form = story.browser.get(DEVICE)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.content.decode())[1]
    page = story.device({"user_code": code, "csrfmiddlewaretoken": token}, **origin)
    fields = filled_in(page)
    assert story.device(fields, **origin).status_code == 403
    evil = {"HTTP_ORIGIN": "https://evil.example"}
    assert story.device({**fields, "csrfmiddlewaretoken": token}, **evil).status_code == 403
    assert nothing_was_granted()
    assert story.device({**fields, "csrfmiddlewaretoken": token}, **origin).status_code == 200


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "Your account is locked, call 0900"])
def test_page_when_its_address_has_text_that_is_no_code(story, text):
    page = story.browser.get(DEVICE, {"user_code": text})
    assert page.status_code == 200
    assert 'value=""' in page.content.decode()
    assert "alert(1)" not in page.content.decode()
    assert "0900" not in page.content.decode()
    assert b"0900" not in story.enter(text).content


# Wrong codes


# Between the page and the answer


@pytest.mark.parametrize(
    "changes",
    [
        {"handle": "x"}, {"handle": ["a", "b"]}, {"decision": None}, {"decision": "yes"},
        {"decision": ["allow", "deny"]}, {"scopes": ["delete:alerts"]},
        {"scopes": ["read:metrics", "read:profile"]}, {"scopes": ["read:metrics write:alerts"]},
        {"scopes": ["\x00"]}, {"lifetime": "1"}, {"lifetime": ["3600", "86400"]},
        {"padding": "a" * 2**20},
    ],
    ids=lambda changes: str(changes)[:40],
)  # fmt: skip
def test_answer_when_it_is_not_what_the_form_sends(story, changes):
    started = story.start().json()
    response = story.connect(story.enter(started["user_code"]), **{"decision": "allow", **changes})
    assert response.status_code == 400
    assert nothing_was_granted()
    refused(story.poll(started["device_code"]), "authorization_pending")


@pytest.mark.parametrize("first", ["allow", "deny"])
@pytest.mark.parametrize("second", ["allow", "deny"])
def test_answer_when_it_was_given_before(story, first, second):
    started = story.start().json()
    pages = [story.enter(started["user_code"]) for _ in range(2)]
    assert story.connect(pages[0], first).status_code == 200
    for page in pages:
        again = story.connect(page, second)
        assert again.status_code == (200 if first == second else 400)
        title = "The device is connected" if first == "allow" else "Access was denied"
        assert f"<h1>{title}</h1>" in again.content.decode()
    assert ConsentRecord.objects.count() == 1
    assert Delegation.objects.count() == (1 if first == "allow" else 0)
    assert story.poll(started["device_code"]).status_code == (200 if first == "allow" else 400)


@pytest.mark.parametrize(
    "how", ["page too old", "expired", "disabled", "grant taken", "narrower", "server off"]
)
def test_answer_when_something_changed_since_the_page(story, world, clock, settings, how):
    settings.DELEGATION = {**settings.DELEGATION, "DEVICE_CODE_LIFETIME": 900}
    page = story.enter(story.start().json()["user_code"])
    if how == "page too old":
        clock.forward(seconds=601)
    elif how == "expired":
        DeviceCode.objects.update(expires_at=timezone.now())
    elif how == "disabled":
        world.tv.change(enabled=False)
    elif how == "grant taken":
        world.tv.change(grants=["refresh_token"])
    elif how == "narrower":
        world.tv.change(scopes="read:metrics")
    else:
        world.service_a.active = False
        world.service_a.save()
    for decision in ("allow", "deny"):
        assert story.connect(page, decision).status_code == 400
    assert nothing_was_granted()


def test_question_when_the_client_may_have_less_by_now(story, world):
    started = story.start().json()
    world.tv.change(scopes="read:metrics")
    page = story.enter(started["user_code"])
    assert b"write:alerts" not in page.content
    story.connect(page)
    assert str(ConsentRecord.objects.get().scopes_asked) == "read:metrics"


# The database gone
