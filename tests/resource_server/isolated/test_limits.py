"""Constraints of a delegation, judged at every request."""

import pytest

from delegation_app.resource_server.permissions import RequireScopes
from tests.resource_server.isolated.service import attributes
from tests.resource_server.issuer import NOW

READ = RequireScopes("read:metrics")
IP = {"type": "ip_range", "networks": ["192.0.2.0/24"]}
PUBLIC = {
    "type": "resource_path",
    "rules": [{"methods": ["GET"], "prefixes": ["/public", "/münchen"]}],
}
WINDOW = {"type": "time_window", "not_after": "2026-11-21T12:00:10Z"}


@pytest.fixture
def send(service):
    def ask(constraint, method="GET", path="/public", **sent):
        token = service.issuer.token(constraints=[constraint])
        return service.ask(service.view(READ), token, method, path, **sent)

    return ask


@pytest.mark.conformance("RS-08", "BR-05")
def test_address_when_it_is_outside(send):
    answer = send(IP, REMOTE_ADDR="198.51.100.7")
    assert answer.status_code == 403
    assert answer.data["error"] == attributes(answer)["error"] == "insufficient_scope"
    assert "address" in answer.data["error_description"]
    assert "scope" not in attributes(answer)
    assert send(IP, REMOTE_ADDR="192.0.2.7").status_code == 200


@pytest.mark.conformance("RS-08")
@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("10.0.0.1", "192.0.2.7", 200),
        ("10.0.0.1", "198.51.100.7, 192.0.2.7", 200),
        ("10.0.0.1", "192.0.2.7, 198.51.100.7", 403),
        ("10.0.0.1", "192.0.2.7, 198.51.100.7, 10.0.0.2", 403),
        ("10.0.0.1", "", 403),
        ("10.0.0.1", "unknown", 403),
        # Nobody whom the site trusts has written this
        ("198.51.100.7", "192.0.2.7", 403),
        ("", "192.0.2.7", 403),
    ],
)
def test_address_when_a_proxy_stands_between(send, configure, peer, forwarded, status):
    configure(TRUSTED_PROXIES=["10.0.0.0/8"])
    answer = send(IP, REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert answer.status_code == status


@pytest.mark.parametrize(
    "header", ["X_FORWARDED_FOR", "FORWARDED", "X_FORWARDED_PROTO", "X_REAL_IP"]
)
@pytest.mark.parametrize("peer", ["198.51.100.7", "192.0.2.7", ""])
def test_address_when_no_proxy_is_trusted(send, peer, header):
    answer = send(IP, REMOTE_ADDR=peer, **{f"HTTP_{header}": "192.0.2.7"})
    assert answer.status_code == 403
    assert "address of this request is unknown" in answer.data["error_description"]


def test_address_when_the_socket_is_trusted(send, configure):
    configure(TRUSTED_PROXIES=["unix"])
    for forwarded, status in (("192.0.2.7", 200), ("198.51.100.7", 403), ("", 403)):
        answer = send(IP, REMOTE_ADDR="", HTTP_X_FORWARDED_FOR=forwarded)
        assert answer.status_code == status


@pytest.mark.conformance("RS-08")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/public", 200), ("GET", "/public/", 200), ("GET", "/public/a", 200),
        ("GET", "/public?x=1", 200), ("GET", "/%70ublic", 200), ("GET", "/m%C3%BCnchen", 200),
        ("POST", "/public", 403), ("HEAD", "/public", 403), ("GET", "/", 403),
        ("GET", "/publicly", 403), ("GET", "/PUBLIC", 403), ("GET", "/admin?x=/public", 403),
        ("GET", "/admin?/public", 403),
    ],
)  # fmt: skip
def test_path_when_it_is_outside(send, method, path, status):
    assert send(PUBLIC, method, path).status_code == status


@pytest.mark.conformance("RS-08")
@pytest.mark.parametrize(
    "path",
    [
        "/public/../admin", "/public/./a", "/public/..", "/public/%2e%2e/admin",
        "/public/%2E%2E/admin", "/public/%252e%252e/admin", "/public/..%2fadmin",
        "/public%2fadmin%2f..", "/public/%5c..%5cadmin", "/public;/../admin", "/public;x=1",
        "/public/%3Bx", "/public//admin", "//public", "/public/%2f/admin",
        "/public/%c0%ae%c0%ae/admin", "/public/%00", "/public/%0aadmin", "/public/%23",
        "/public/%3fx",
    ],
)  # fmt: skip
def test_path_when_it_could_be_read_in_two_ways(send, path):
    assert send(PUBLIC, path=path).status_code == 403


def test_time_when_it_is_over(service):
    token = service.issuer.token(constraints=[WINDOW], exp=NOW + 3600)
    view = service.view(READ)
    assert service.ask(view, token).status_code == 200
    service.issuer.pass_time(10)
    answer = service.ask(view, token)
    assert (answer.status_code, answer.data["error"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("constraint", [{"type": "phase_of_the_moon"}, {"type": "ip_range"}])
def test_constraint_when_it_is_unknown(send, constraint):
    assert send(constraint).status_code in {401, 403}
