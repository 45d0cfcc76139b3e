"""Scopes and audiences in the database, in forms and in fixtures."""

import pytest
from django.core import serializers
from django.core.exceptions import ValidationError

from delegation_app.models import Delegation, ResourceServer
from delegation_app.protocol.audience import Audience
from delegation_app.protocol.scope import Scope
from tests.support.world import SERVICE_A, delegation_of

pytestmark = pytest.mark.compat


def test_fields_when_stored_and_read_then_values(story):
    delegation = delegation_of(story.tokens())

    assert delegation.scopes == Scope(["read:metrics", "write:alerts"])
    assert delegation.audience == Audience([SERVICE_A])


def test_fields_when_dumped_and_loaded_then_the_same(story):
    delegation = delegation_of(story.tokens())
    dumped = serializers.serialize("json", [delegation])

    (loaded,) = serializers.deserialize("json", dumped)
    assert (loaded.object.scopes, loaded.object.audience) == (
        delegation.scopes,
        delegation.audience,
    )


@pytest.mark.parametrize(
    ("field", "text"), [("scopes", 'a"b'), ("audience", "relative"), ("audience", "https://a/#b")]
)
def test_fields_when_text_is_malformed_then_a_validation_error(field, text):
    with pytest.raises(ValidationError):
        Delegation._meta.get_field(field).to_python(text)


@pytest.mark.parametrize("identifier", ["", "service", "https://a#b", "https://é.example.com"])
def test_resource_server_when_identifier_is_no_absolute_uri_then_refused(db, identifier):
    server = ResourceServer(identifier=identifier, name="x", scopes="read")
    with pytest.raises(ValidationError) as refused:
        server.full_clean()
    assert "identifier" in refused.value.message_dict
