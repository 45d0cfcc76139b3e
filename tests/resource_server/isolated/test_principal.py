import asyncio

import pytest
from django.core.exceptions import ObjectDoesNotExist

from delegation_app.protocol.verified_token import VerifiedToken
from delegation_app.resource_server.principal import Principal


@pytest.fixture
def principal(issuer):
    act = {"sub": "client:b", "act": {"sub": "client:a"}}
    return Principal.of(VerifiedToken.of(issuer.claims(act=act)))


def test_principal_when_made_of_a_token(principal):
    assert (principal.subject, principal.client_id) == ("user:7", "web")
    assert list(principal.scope) == ["read:metrics", "write:alerts"]
    assert principal.delegation_id == "0b0a6f0e-3d9c-4d6c-8f3e-6a6f3d2f8f11"
    assert [actor["sub"] for actor in principal.actors] == ["client:b", "client:a"]
    assert principal.actor == {"sub": "client:b"}


def test_principal_when_there_is_no_actor(issuer):
    assert Principal.of(VerifiedToken.of(issuer.claims())).actor is None


def test_principal_when_taken_for_a_user(principal):
    assert principal.is_authenticated
    assert principal.is_active
    assert not any([principal.is_anonymous, principal.is_staff, principal.is_superuser])
    assert not principal.has_perm("auth.add_user")
    assert not principal.has_perms(["auth.add_user"])
    assert not principal.has_perms([])
    assert not principal.has_module_perms("auth")


def test_principal_when_named(principal):
    assert {str(principal), principal.pk, principal.id, principal.get_username()} == {"user:7"}


def test_principal_when_compared(principal, issuer):
    act = {"sub": "client:b", "act": {"sub": "client:a"}}
    same = Principal.of(VerifiedToken.of(issuer.claims(act=act)))
    assert same == principal
    assert {same, principal} == {principal}
    assert Principal.of(VerifiedToken.of(issuer.claims())) != principal


def test_principal_when_an_app_takes_it_for_a_user(principal):
    assert principal.username == principal.get_username() == "user:7"
    for way in ("get_all_permissions", "get_user_permissions", "get_group_permissions"):
        assert getattr(principal, way)() == getattr(principal, way)(object()) == set()
        assert asyncio.run(getattr(principal, f"a{way}")()) == set()
    for way, asked in (("perm", "a.b"), ("perms", ["a.b"]), ("module_perms", "a")):
        assert not getattr(principal, f"has_{way}")(asked)
        assert not asyncio.run(getattr(principal, f"ahas_{way}")(asked))


@pytest.mark.parametrize("relation", ["groups", "user_permissions"])
def test_relation_when_there_is_no_database(principal, relation):
    rows = getattr(principal, relation)
    found = rows.filter(name="editors").exclude(pk=1).order_by("name").values_list("name")
    assert list(rows.all()) == list(found) == list(found[:5]) == []
    assert (found.count(), found.exists(), len(found), bool(found)) == (0, False, 0, False)
    assert found.first() is found.last() is None
    assert "editors" not in found
    with pytest.raises(ObjectDoesNotExist):
        rows.get(name="editors")


def test_relation_when_it_is_read_asynchronously(principal):
    async def read():
        rows = principal.groups.all()
        with pytest.raises(ObjectDoesNotExist):
            await rows.aget(name="editors")
        return [row async for row in rows], await rows.acount(), await rows.aexists()

    assert asyncio.run(read()) == ([], 0, False)


@pytest.mark.parametrize("way", ["save", "delete", "set_password", "check_password"])
def test_principal_when_an_app_would_change_its_row(principal, way):
    with pytest.raises(NotImplementedError):
        getattr(principal, way)("x")
