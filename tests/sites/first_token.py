"""What an operator enters in the console before the first token, in a process of the site."""

from django.contrib.auth import get_user_model
from django.test import Client
from django.test.utils import setup_test_environment

from delegation_app.models import ResourceServer
from tests.admin.test_clients import filled_in

SERVER = {
    "name": "Service A",
    "identifier": "https://service-a.example.com",
    "scopes": "read:metrics",
}
CLIENT = {
    "client_id": "cron",
    "name": "Cron",
    "client_type": "confidential",
    "authorization_grant_type": "client-credentials",
}


def enter():
    """Add the resource server, the client and its policy; return the client's secret."""
    setup_test_environment()
    console = Client(raise_request_exception=True)
    console.force_login(get_user_model().objects.get(is_superuser=True))
    _save(console, "/admin/delegation_app/resourceserver/add/", **SERVER)
    add = "/admin/oauth2_provider/application/add/"
    secret = filled_in(console, add)["client_secret"]
    page = _save(console, add, **CLIENT, client_secret=secret, _continue="on")
    [server] = ResourceServer.objects.all()
    policy = {"audiences": [server.pk], "scopes": "read:metrics"}
    _save(console, page, **{f"delegation_policy-0-{name}": policy[name] for name in policy})
    return secret


def _save(console, page, **entered):
    answer = console.post(page, filled_in(console, page) | entered)
    assert answer.status_code == 302, answer.context["errors"]
    return answer["Location"]
