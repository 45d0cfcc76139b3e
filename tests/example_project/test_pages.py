import pytest
from django.contrib.auth import get_user_model

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"


@pytest.fixture
def alice():
    return get_user_model().objects.create_user("alice", password="correct horse")


def test_the_sign_in_page_is_a_plain_form(client):
    page = client.get(LOGIN, {"next": "/somewhere/?a=1"})
    assert page.status_code == 200
    body = page.content.decode()
    for part in ('name="username"', 'name="password"', 'value="/somewhere/?a=1"', 'lang="en"'):
        assert part in body
    assert "<script" not in body
    assert "style=" not in body


@pytest.mark.parametrize("path", [LOGIN, "/admin/login/", "/no/such/page"])
def test_no_page_can_be_framed_or_load_from_elsewhere(client, path):
    page = client.get(path)
    policy = page["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert page["X-Frame-Options"] == "DENY"


def test_the_sign_in_form_may_end_at_a_client(client):
    assert "form-action" not in client.get(LOGIN)["Content-Security-Policy"]


def test_signing_in_goes_on_with_303(csrf_client, alice):
    token = csrf_client.get(LOGIN).cookies["csrftoken"].value
    answer = csrf_client.post(
        LOGIN,
        {
            "username": "alice",
            "password": "correct horse",
            "next": "/somewhere/?a=1",
            "csrfmiddlewaretoken": token,
        },
        HTTP_REFERER="https://testserver" + LOGIN,
    )
    assert answer.status_code == 303
    assert answer["Location"] == "/somewhere/?a=1"


def test_a_wrong_password_is_said_so_and_nothing_is_repeated(client, alice):
    page = client.post(LOGIN, {"username": "alice", "password": "hunter2"})
    body = page.content.decode()
    assert page.status_code == 200
    assert 'role="alert"' in body
    assert 'value="alice"' in body
    assert "hunter2" not in body


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "javascript:alert(1)"]
)
def test_signing_in_never_leaves_the_site(client, alice, target):
    answer = client.post(LOGIN, {"username": "alice", "password": "correct horse", "next": target})
    assert answer.status_code == 303
    assert answer["Location"] == "/"


def test_home_when_nobody_is_signed_in_then_it_says_what_is_where(client):
    page = client.get("/")
    assert page.status_code == 200
    body = page.content.decode()
    for part in (LOGIN, "/admin/", "/.well-known/oauth-authorization-server", "/api/metrics"):
        assert part in body
    assert "<script" not in body
    assert "style=" not in body
    assert "Sign out" not in body


def test_home_when_alice_is_signed_in_then_she_can_sign_out(client, alice):
    client.force_login(alice)
    body = client.get("/").content.decode()
    assert "signed in as <strong>alice</strong>" in body
    assert 'action="/accounts/logout/"' in body
