"""The people who come to the admin, and where its pages are."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse

from delegation_app.models import AuditEvent, Delegation
from tests.support import SecureClient
from tests.support.world import SERVICE_C, delegation_of

ROLES = ("anonymous", "staff", "auditor", "operator", "superuser")


def page(model, name, *args, app="delegation_app"):
    return reverse(f"admin:{app}_{model}_{name}", args=args)


def person(role):
    """Somebody of that role, new."""
    users = get_user_model().objects
    if role == "superuser":
        return users.create_superuser(role)
    user = users.create_user(role, is_staff=True)
    permissions = Permission.objects.filter(
        content_type__app_label__in=("delegation_app", "oauth2_provider", "auth")
    )
    if role == "operator":
        user.user_permissions.set(permissions)
    if role == "auditor":
        user.user_permissions.set(permissions.filter(codename__startswith="view_"))
    return user


def browser(role):
    """A browser in which somebody of that role is signed in."""
    client = SecureClient()
    if role != "anonymous":
        client.force_login(person(role))
    return client


@pytest.fixture
def operator(db):
    return browser("operator")


@pytest.fixture
def auditor(db):
    return browser("auditor")


class Forest:
    """Alice lets Web act at A; A's client passes that on to B, and B's on to C.

    Attributes:
        answers: the token responses, from the root down.
        root, middle, leaf: their delegations.
    """

    def __init__(self, story):
        first = story.tokens()
        second = self._handed_on(story, first, None)
        third = self._handed_on(story, second, story.world.service_b_client, audience=SERVICE_C)
        self.story = story
        self.answers = [first, second, third]
        self.root, self.middle, self.leaf = map(delegation_of, self.answers)

    @staticmethod
    def _handed_on(story, answer, app, **changes):
        response = story.exchange(answer["access_token"], app, **changes)
        assert response.status_code == 200, response.content
        return response.json()

    def named(self):
        """Each with the name of its client."""
        rows = (self.root, self.middle, self.leaf)
        return zip(rows, ("Web", "Service-A", "Service-B"), strict=True)

    def live(self):
        """Which of the three are in force."""
        keys = set(Delegation.objects.live().values_list("pk", flat=True))
        return [row.pk in keys for row in (self.root, self.middle, self.leaf)]


@pytest.fixture
def forest(story):
    return Forest(story)


def text_of(response):
    """The page on one line."""
    return " ".join(response.content.decode().split())


def events(name):
    return list(AuditEvent.objects.filter(event=name).order_by("pk"))
