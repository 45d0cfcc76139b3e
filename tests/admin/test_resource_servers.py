import pytest

from delegation_app.models import AuditEvent, ResourceServer
from tests.admin.conftest import page
from tests.admin.test_clients import filled_in, text_of

ADD = "/admin/delegation_app/resourceserver/add/"
LIST = "/admin/delegation_app/resourceserver/"


def changes():
    found = AuditEvent.objects.filter(event="resource_server.changed").order_by("pk")
    return list(found.values_list("actor", "details"))


def test_server_when_added_then_it_is_stored_and_recorded_once(world, operator):
    data = {
        "name": "Service D",
        "identifier": "https://service-d.example.com",
        "scopes": "write:alerts  read:metrics",
        "token_format": "jwt",
        "active": "on",
        "introspectors": [world.web.row.pk],
    }
    assert operator.post(ADD, data).status_code == 302
    server = ResourceServer.objects.get(identifier="https://service-d.example.com")
    assert str(server.scopes) == "read:metrics write:alerts"
    assert list(server.introspectors.all()) == [world.web.row]
    [(actor, details)] = changes()
    assert actor == f"user:{operator.session['_auth_user_id']}"
    assert details["change"] == "added"
    assert details["resource_server"] == "https://service-d.example.com"


def test_server_when_changed_then_the_identifier_stays_and_it_is_recorded_once(world, operator):
    url = page("resourceserver", "change", world.service_a.pk)
    data = filled_in(operator, url) | {"identifier": "https://evil.example.com", "name": "A"}
    del data["active"]
    assert operator.post(url, data).status_code == 302
    world.service_a.refresh_from_db()
    assert world.service_a.identifier == "https://service-a.example.com"
    assert not world.service_a.active
    [(_, details)] = changes()
    assert details["change"] == "changed"
    assert sorted(details["fields"]) == ["active", "name"]


def test_server_when_saved_without_a_change_then_nothing_is_recorded(world, operator):
    url = page("resourceserver", "change", world.service_a.pk)
    assert operator.post(url, filled_in(operator, url)).status_code == 302
    assert changes() == []


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("identifier", "service-c", "Enter an absolute URI without a fragment."),
        ("identifier", "https://c.example.com/#x", "Enter an absolute URI without a fragment."),
        ("identifier", "https://service-a.example.com", "already exists"),
        ("scopes", "made:up", "Unknown scope: made:up."),
        ("name", "Service A", "already exists"),
        (
            "name",
            "https://service-a.example.com",
            "Another resource server has this identifier.",
        ),
    ],
)
def test_server_when_a_value_is_bad_then_the_page_says_so(world, operator, field, value, message):
    data = {
        "name": "C",
        "identifier": "https://service-d.example.com",
        "token_format": "jwt",
    } | {field: value}
    response = operator.post(ADD, data)
    assert response.status_code == 200
    assert message in text_of(response)
    assert changes() == []


def test_server_when_its_identifier_is_the_name_of_another_then_it_is_refused(world, operator):
    ResourceServer.objects.filter(pk=world.service_a.pk).update(name="https://d.example.com")
    data = {"name": "D", "identifier": "https://d.example.com", "token_format": "jwt"}
    response = operator.post(ADD, data)
    assert "Another resource server has this name." in text_of(response)
    assert changes() == []


def test_server_when_it_is_called_by_its_own_identifier_then_that_is_fine(world, operator):
    url = page("resourceserver", "change", world.service_a.pk)
    data = filled_in(operator, url) | {"name": "https://service-a.example.com"}
    assert operator.post(url, data).status_code == 302
    data["name"] = "https://service-b.example.com"
    assert "Another resource server has this identifier" in text_of(operator.post(url, data))
    assert len(changes()) == 1


def test_server_when_shown_then_it_says_that_clients_send_its_name(world, operator):
    assert "the value of “audience”" in text_of(operator.get(ADD))


def test_server_when_deleted_then_its_tokens_stop_and_it_is_recorded(story, operator):
    tokens = story.tokens()
    server = story.world.service_a
    url = page("resourceserver", "delete", server.pk)
    assert operator.get(url).context["protected"] == []
    assert operator.post(url, {"post": "yes"}).status_code == 302
    assert not story.is_active(tokens["access_token"], app=story.world.operator_tool)
    assert story.refresh(tokens["refresh_token"]).status_code == 400
    [(_, details)] = changes()
    assert details["change"] == "deleted"


def test_servers_when_deleted_in_bulk_then_each_is_recorded(world, operator):
    keys = [world.service_a.pk, world.service_b.pk]
    data = {"action": "delete_selected", "_selected_action": keys, "post": "yes"}
    assert operator.post(LIST, data).status_code == 302
    assert len(changes()) == 2
