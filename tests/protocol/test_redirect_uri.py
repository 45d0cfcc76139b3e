import pytest

from delegation_app.protocol.requests.redirect_uri import Problem, problem, without_loopback_port

SCHEMES = {"https", "http", "com.example.app", "myapp"}


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://a.example.com/cb", None),
        ("https://10.0.0.5/cb", None),
        ("https://intranet/cb", None),
        ("https://a.example.com/cb?tenant=1", None),
        ("http://127.0.0.1/cb", None),
        ("http://[::1]:8080/cb", None),
        ("http://localhost:3000/cb", None),
        ("com.example.app:/cb", None),
        ("https://[::1/cb", Problem.MALFORMED),
        ("https://a.example.com:99999/cb", Problem.MALFORMED),
        ("https://a.example.com/c b", Problem.CHARACTERS),
        ("https://a.example.com\\cb", Problem.CHARACTERS),
        ("https://a.example.com/cb#", Problem.FRAGMENT),
        ("org.example.other:/cb", Problem.SCHEME),
        ("https:///cb", Problem.NO_HOST),
        ("http://a.example.com/cb", Problem.PLAIN_HTTP),
        ("http://10.0.0.5/cb", Problem.PLAIN_HTTP),
        ("http://192.168.1.10:8080/cb", Problem.PLAIN_HTTP),
        ("http://intranet/cb", Problem.PLAIN_HTTP),
        ("http://host.docker.internal/cb", Problem.PLAIN_HTTP),
        ("http://printer.local/cb", Problem.PLAIN_HTTP),
        ("http://app.localhost/cb", Problem.PLAIN_HTTP),
        ("http://127.0.0.2/cb", Problem.PLAIN_HTTP),
        ("myapp:/cb", Problem.UNDOTTED_SCHEME),
        ("myapp://cb", Problem.UNDOTTED_SCHEME),
        ("https://a.example.com/cb?code=x", Problem.RESPONSE_PARAMETER),
        ("com.example.app:/cb?iss=x", Problem.RESPONSE_PARAMETER),
    ],
)
def test_problem_when_a_uri_cannot_be_used_then_it_is_named(uri, expected):
    assert problem(uri, SCHEMES) is expected


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://localhost:3000/cb", "http://localhost/cb"),
        ("http://127.0.0.1:1/cb:1", "http://127.0.0.1/cb:1"),
        ("http://[::1]:1/cb", "http://[::1]/cb"),
        ("http://localhost/cb", "http://localhost/cb"),
        ("https://localhost:1/cb", None),
        ("http://a.localhost:1/cb", None),
        ("http://x@localhost:1/cb", None),
        ("http://localhost:99999/cb", None),
    ],
)
def test_port_when_of_this_machine_then_taken_away(uri, expected):
    assert without_loopback_port(uri) == expected
