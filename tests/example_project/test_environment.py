import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ImproperlyConfigured

from example_project import environment


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("true", True), ("YES", True), ("0", False), ("off", False), (" ", None)],
)
def test_flags(monkeypatch, value, expected):
    monkeypatch.setenv("A_FLAG", value)
    for default in (True, False):
        assert environment.flag("A_FLAG", default=default) is (
            default if expected is None else expected
        )


def test_a_flag_that_is_neither_yes_nor_no_is_refused(monkeypatch):
    monkeypatch.setenv("A_FLAG", "maybe")
    with pytest.raises(ImproperlyConfigured, match="A_FLAG must be 1 or 0"):
        environment.flag("A_FLAG", default=False)


def test_a_missing_value_says_what_it_is_for(monkeypatch):
    monkeypatch.delenv("A_VALUE", raising=False)
    with pytest.raises(ImproperlyConfigured, match="A_VALUE is not set: because"):
        environment.required("A_VALUE", "because")


def test_the_local_key_is_made_once_and_for_its_owner_only(tmp_path):
    path = tmp_path / "made" / "secret_key"
    key = environment.local_secret_key(path)
    assert len(key) >= 50
    assert environment.local_secret_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_start_together_agree_on_the_key(tmp_path):
    for round_number in range(20):
        path = tmp_path / str(round_number) / "secret_key"
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(environment.local_secret_key, [path] * 8))
        assert len(keys) == 1
