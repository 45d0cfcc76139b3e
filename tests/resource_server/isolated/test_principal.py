import pytest

from delegation_app.protocol.verified_token import VerifiedToken
from delegation_app.resource_server.principal import Principal


@pytest.fixture
def principal(issuer):
    act = {"sub": "client:b", "act": {"sub": "client:a"}}
    return Principal.of(VerifiedToken.of(issuer.claims(act=act)))


def test_principal_when_made_of_a_token_then_it_says_who_acts_for_whom(principal):
    assert (principal.subject, principal.client_id) == ("user:7", "web")
    assert list(principal.scope) == ["read:metrics", "write:alerts"]
    assert principal.delegation_id == "0b0a6f0e-3d9c-4d6c-8f3e-6a6f3d2f8f11"
    assert [actor["sub"] for actor in principal.actors] == ["client:b", "client:a"]
    assert principal.actor == {"sub": "client:b"}


def test_principal_when_nobody_acts_then_it_has_no_actor(issuer):
    assert Principal.of(VerifiedToken.of(issuer.claims())).actor is None


def test_principal_when_taken_for_a_user_then_it_is_one_without_powers(principal):
    assert principal.is_authenticated
    assert principal.is_active
    assert not any([principal.is_anonymous, principal.is_staff, principal.is_superuser])
    assert not principal.has_perm("auth.add_user")
    assert not principal.has_perms(["auth.add_user"])
    assert not principal.has_perms([])
    assert not principal.has_module_perms("auth")


def test_principal_when_named_then_by_its_subject(principal):
    assert {str(principal), principal.pk, principal.id, principal.get_username()} == {"user:7"}


def test_principal_when_compared_then_a_value(principal, issuer):
    act = {"sub": "client:b", "act": {"sub": "client:a"}}
    same = Principal.of(VerifiedToken.of(issuer.claims(act=act)))

    assert same == principal
    assert {same, principal} == {principal}
    assert Principal.of(VerifiedToken.of(issuer.claims())) != principal
