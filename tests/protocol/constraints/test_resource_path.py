from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegation_app.protocol.constraints import AccessContext, EnforcementPoint, InvalidConstraint
from delegation_app.protocol.constraints.resource_path import ResourcePath, is_ambiguous

pytestmark = pytest.mark.any_database


def rule(methods, *prefixes):
    return {"methods": methods.split(), "prefixes": list(prefixes)}


def rules(*items):
    return ResourcePath.parse({"rules": list(items)})


def refusal(constraint, method, path):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return constraint.refusal(
        AccessContext(EnforcementPoint.RESOURCE, now, method=method, path=path)
    )


METRICS = rules(rule("GET", "/metrics/"))


@pytest.mark.parametrize("prefix", ["/metrics", "/metrics/"])
@pytest.mark.parametrize("path", ["/metrics", "/metrics/", "/metrics/1", "/metrics/a b/é"])
def test_resource_path_when_below_the_prefix(prefix, path):
    assert refusal(rules(rule("GET", prefix)), "GET", path) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/metrics2"), ("GET", "/metric"), ("GET", "/"), ("GET", "/Metrics"),
        ("GET", "/x/metrics"), ("GET", "/%6detrics"), ("POST", "/metrics"), ("get", "/metrics"),
        ("HEAD", "/metrics"), ("*", "/metrics"),
    ],
)  # fmt: skip
def test_resource_path_when_elsewhere_or_another_method(method, path):
    assert refusal(METRICS, method, path) == "It may not be used with this method and path."


@pytest.mark.parametrize(
    ("method", "path"), [(None, "/metrics"), ("GET", None), ("", "/metrics"), ("GET", "")]
)
def test_resource_path_when_method_or_path_is_unknown(method, path):
    assert refusal(rules(rule("*", "/")), method, path) is not None


@pytest.mark.parametrize(
    "path",
    [
        "metrics",
        "*",
        "https://a.example.com/metrics",
        "/metrics/../admin",
        "/metrics/..",
        "/metrics/.",
        "/./metrics",
        "/metrics/%2e%2e/admin",
        "/metrics/%2E./admin",
        "/metrics/a%2Fb",
        "/metrics/a%2fb",
        "/metrics/a%5Cb",
        "/metrics/a\\..\\admin",
        "/metrics/%252e%252e/admin",
        "/metrics/%25252E/admin",
        "/metrics/%25%32%65",
        "/metrics/a%252fb",
        "/metrics/%%32e%%32e/admin",
        "/metrics/%2525252541",
        "/metrics/..;/admin",
        "/metrics;a=b",
        "/metrics%3Ba=b",
        "/metrics//a",
        "//metrics",
        "/metrics/\x00",
        "/metrics/%00",
        "/metrics/%2500",
        "/metrics/\n",
        "/metrics/%0d%0a",
        "/metrics/\x7f",
        "/metrics/\x85",
        "/metrics?x",
        "/metrics#x",
        "/metrics/%c0%ae%c0%ae/admin",
        "/metrics/%ff",
        "/metrics/\ud800",
        "/metrics/" + "a" * 4096,
    ],
)
def test_resource_path_when_path_is_ambiguous(path):
    everything = rules(rule("*", "/"))
    assert is_ambiguous(path)
    assert refusal(everything, "GET", path) == "It may not be used with an ambiguous path."


@pytest.mark.parametrize(
    "path",
    [
        "/", "/a/", "/a/...", "/a/%2541", "/a/.well-known", "/a..b", "/100%", "/a%20b",
        "/caf%C3%A9", "/é",
    ],
)  # fmt: skip
def test_resource_path_when_path_is_plain(path):
    assert not is_ambiguous(path)


@given(st.lists(st.text("ab./;%\\2eEfF5cC", max_size=6), max_size=4), st.integers(0, 3))
def test_ambiguous_when_a_plain_path_is_escaped_again(parts, times):
    path = "/" + "/".join(parts)
    for _ in range(times):
        path = quote(path, safe="/")
    if is_ambiguous(path):
        return
    assert not {".", ".."} & set(path.split("/"))
    assert not set(path) & set("\\;")


@given(st.text(max_size=40))
def test_ambiguous_when_text_is_arbitrary(text):
    assert is_ambiguous(f"/{text}") in (True, False)


def test_resource_path_when_parsed():
    assert rules(
        rule("POST GET GET", "/b", "/a/"),
        rule("GET", "/a/x"),
        rule("* PUT", "/c"),
        rule("DELETE", "/c/d"),
        rule("GET", "/d"),
    ).as_json() == {
        "type": "resource_path",
        "rules": [
            {"methods": ["*"], "prefixes": ["/c"]},
            {"methods": ["GET"], "prefixes": ["/d"]},
            {"methods": ["GET", "POST"], "prefixes": ["/a", "/b"]},
        ],
    }


def test_resource_path_when_narrowed():
    wide = rules(rule("GET POST", "/a"), rule("*", "/b/c"))
    other = rules(rule("POST PUT", "/a/x", "/b"), rule("GET", "/ab"))
    assert wide.narrowed(other) == rules(rule("POST", "/a/x"), rule("POST PUT", "/b/c"))


@pytest.mark.parametrize("other", [rule("POST", "/metrics"), rule("GET", "/metrics2")])
def test_resource_path_when_nothing_is_left(other):
    with pytest.raises(InvalidConstraint, match="no path would be left"):
        METRICS.narrowed(rules(other))


def test_resource_path_when_there_are_too_many():
    names = [f"/{number}" for number in range(60)]
    with pytest.raises(InvalidConstraint, match="more than 100"):
        rules(rule("GET POST", *names))
    with pytest.raises(InvalidConstraint, match="more than 100"):
        rules(rule("GET", *names), rule("POST", *names))
    with pytest.raises(InvalidConstraint, match="more than 100"):
        rules(rule("*", *names)).narrowed(rules(rule("GET POST", "/")))


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        [None],
        [{}],
        [{"methods": ["GET"]}],
        [{"prefixes": ["/"]}],
        [{"methods": [], "prefixes": ["/"]}],
        [{"methods": ["GET"], "prefixes": []}],
        [{"methods": "GET", "prefixes": ["/"]}],
        [{"methods": ["GET"], "prefixes": "/"}],
        [{"methods": ["get"], "prefixes": ["/"]}],
        [{"methods": ["GET POST"], "prefixes": ["/"]}],
        [{"methods": ["**"], "prefixes": ["/"]}],
        [{"methods": [""], "prefixes": ["/"]}],
        [{"methods": [1], "prefixes": ["/"]}],
        [{"methods": ["GET"], "prefixes": ["a"]}],
        [{"methods": ["GET"], "prefixes": [""]}],
        [{"methods": ["GET"], "prefixes": ["/a/../b"]}],
        [{"methods": ["GET"], "prefixes": ["/a//"]}],
        [{"methods": ["GET"], "prefixes": ["/a%20b"]}],
        [{"methods": ["GET"], "prefixes": ["/a\u202eb"]}],
        [{"methods": ["GET"], "prefixes": ["/a\u2028b"]}],
        [{"methods": ["GET"], "prefixes": ["/"], "type": "resource_path"}],
        [{"methods": ["GET"], "prefixes": ["/"], "query": "x"}],
    ],
)
def test_resource_path_when_malformed(value):
    with pytest.raises(InvalidConstraint, match="resource_path"):
        ResourcePath.parse({"rules": value})


def test_resource_path_when_described():
    constraint = rules(rule("GET HEAD", "/a", "/b"), rule("*", "/c"))
    assert constraint.describe() == "Only every method under /c; GET or HEAD under /a or /b."
    assert {EnforcementPoint.RESOURCE} == ResourcePath.ENFORCED_AT
