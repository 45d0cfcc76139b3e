"""Every address of the example project, and who gets in: `tests/permission_matrix.txt`."""

import json
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from urllib.parse import quote, urlencode

from django.core import signing
from django.db import transaction
from django.urls import URLPattern, get_resolver, reverse

from delegation_app import toolkit
from delegation_app.models import (
    AuditEvent,
    ConsentRecord,
    DelegationBlock,
    ProposedChange,
    SigningKey,
)
from delegation_app.services import audit
from delegation_app.services.clients import proposals, secrets
from delegation_app.services.clients.snapshots import Diff
from delegation_app.services.delegations import revocation
from tests.admin.conftest import person
from tests.support import SecureClient
from tests.support.chains import Chain
from tests.support.world import FORM, Story, delegation_of

TABLE = Path(__file__).parents[1] / "permission_matrix.txt"
ROLES = ("nobody", "alice", "bob", "auditor", "staff", "operator", "superuser")
# The secret of a CSRF cookie, and the token that goes with it
TOKEN = "t" * 32


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        name: of the URL pattern; its route, if it has no name; `*` stands for anything.
        of: what its address is made of, see `Town.things`.
        get, post: what each role gets.
    """

    name: str
    of: tuple[str, ...]
    get: dict[str, str]
    post: dict[str, str]


@cache
def lines():
    found = []
    for text in TABLE.read_text().splitlines():
        cells = text.split()
        if not cells or text.startswith("#"):
            continue
        name, of, *answers = cells
        assert len(answers) == 2 * len(ROLES), text
        of = () if of == "-" else tuple(of.split(","))
        get, post = answers[: len(ROLES)], answers[len(ROLES) :]
        found.append(Line(name, of, *(dict(zip(ROLES, half, strict=True)) for half in (get, post))))
    return found


def patterns(resolver=None, before="", spaces=()):
    """Yield the name and the route of every URL pattern; the route is its name if it has none."""
    for pattern in (resolver or get_resolver()).url_patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield ":".join((*spaces, pattern.name)) if pattern.name else route, route
        else:
            inner = (*spaces, pattern.namespace) if pattern.namespace else spaces
            yield from patterns(pattern, route, inner)


def listed(name):
    """The lines that are about a pattern: those that name it, else those that match it."""
    exact = [line for line in lines() if line.name == name]
    return exact or [line for line in lines() if fnmatchcase(name, line.name)]


class Town:
    """One world with something of every kind, and a browser for every role.

    Attributes:
        things: what addresses are made of, by the name that the table has for it.
        cookies: by role, as after signing in.
        users: by role.
    """

    def __init__(self, world):
        self.world = world
        self.story = Story(world, world.alice)
        self.chain = Chain(self.story)
        self.bobs = delegation_of(Story(world, world.bob).tokens(world.other))
        ended = delegation_of(Story(world, world.bob).tokens(world.web))
        revocation.subtree(ended, audit.RequestContext(), reason="for a test")
        self.users = {
            "nobody": None,
            "alice": world.alice,
            "bob": world.bob,
            **{role: person(role) for role in ROLES[3:]},
        }
        self.cookies = {role: self._cookies(user) for role, user in self.users.items()}
        cron = toolkit.application_model().objects.get(pk=world.cron.row.pk)
        self.seen = secrets.mark_of(cron)
        self.started = self.story.start().json()
        root, child, _leaf = self.chain.rows
        self.things = {
            "root": root.pk,
            "child": child.pk,
            "alices": root.public_id,
            "block": DelegationBlock.objects.get().pk,
            "consent": ConsentRecord.objects.filter(subject=root.subject).first().pk,
            "event": AuditEvent.objects.filter(delegation=root).first().pk,
            "key": SigningKey.objects.get(state="active").pk,
            "server": world.service_a.pk,
            "client": world.cron.row.pk,
            "holder": world.web.row.pk,
            "proposed": self._proposal().pk,
            "both": "both",
            "none": 0,
            "list": self.story.wire.get("/oauth/status").json()["status_lists"][0].split("/")[-1],
            "issuer": "x",
            "app": "delegation_app",
            "type": 1,
            "?asks": "?" + urlencode(self.story.authorize_parameters(prompt="consent")),
            "?code": "?" + urlencode({"user_code": self.started["user_code"]}),
        }

    def _proposal(self):
        """What the operator wants, and another one has to decide."""
        wanted = proposals.ProposedValues(
            kind=ProposedChange.Kind.CLIENT,
            change=ProposedChange.Change.CHANGED,
            key=str(self.world.web.row.pk),
            name="web",
            values=Diff(
                {"clientpolicy.scopes": "read:metrics", "clientpolicy.confirm_risky": True},
                {
                    "clientpolicy.scopes": "read:metrics write:alerts",
                    "clientpolicy.confirm_risky": False,
                },
            ),
        )
        origin = audit.RequestContext(actor=f"user:{self.users['operator'].pk}")
        return proposals.propose(wanted, origin, reason="the new report")

    def _cookies(self, user):
        browser = SecureClient()
        if user is not None:
            browser.force_login(user)
        found = {name: morsel.value for name, morsel in browser.cookies.items()}
        return {**found, "csrftoken": TOKEN}

    def browser(self, role):
        """A browser as it was when that role had just signed in, even if it signed out since."""
        browser = SecureClient(enforce_csrf_checks=True, raise_request_exception=False)
        for name, value in self.cookies[role].items():
            browser.cookies[name] = value
        return browser

    def address(self, line, name, route):
        """Where a line leads, for one of the patterns that it is about."""
        takes = "<" in route or "(" in route
        values = [self.things[one] for one in line.of if takes and not one.startswith("?")]
        query = "".join(self.things[one] for one in line.of if one.startswith("?"))
        if name == route and takes:
            start = route[: min(route.find(mark) % len(route) for mark in "<(")]
            return "/" + start + "/".join(quote(str(value)) for value in values) + query
        return reverse(name, args=values) + query

    def addresses(self):
        """Yield each line with each address that it is about."""
        for name, route in patterns():
            for line in listed(name):
                yield line, self.address(line, name, route)

    def fields(self, role):
        """What a form of any page would send that does its deed."""
        user = self.users[role]
        subject = f"user:{user.pk}" if user else ""
        return {
            "person": signing.Signer(salt="delegation_app.connections").signature(subject),
            "reason": "for a test",
            "scopes": "read:metrics",
            "force": "on",
            "post": "yes",
            "overlap": "0",
            "seen": self.seen,
            "format": "csv",
        }

    def members(self, role, address):
        """What a caller would send as JSON that does the deed of an address, whoever that is."""
        match address.rsplit("/", 1)[1]:
            case "narrow":
                wanted = {"scopes": ["read:metrics"]}
                return wanted if "connections" in address else wanted | {"reason": "for a test"}
            case "end" if address.endswith("api/end"):
                return {"confirm": self.get(role, address).json().get("confirm", "?")}
            case "revoke" if address.endswith("api/revoke"):
                return {"filter": {"client": "web"}, "reason": "for a test"}
            case _:
                return {"reason": "for a test"}

    def get(self, role, address):
        """GET an address as a role."""
        return self.browser(role).get(address)

    def post(self, role, address, *, token=TOKEN, **more):
        """POST that as a role; without a token if told so."""
        if "/api/" in address:
            body = json.dumps(self.members(role, address))
            sent = {"HTTP_X_CSRFTOKEN": token} if token else {}
            return self._send(role, address, body, "application/json", **sent)
        fields = self.fields(role) | more
        if token:
            fields["csrfmiddlewaretoken"] = token
        return self._send(role, address, urlencode(fields, doseq=True), FORM)

    def _send(self, role, address, body, content_type, **headers):
        headers["HTTP_ORIGIN"] = "https://testserver"
        return self.browser(role).post(address, body, content_type=content_type, **headers)


def told(response):
    """What the table says of an answer: `in` for one that leads to a sign-in page."""
    # What is sent as it is read ends with that
    b"".join(response)
    if response.status_code in {302, 303} and "/login/" in response["Location"]:
        return "in"
    return str(response.status_code)


@contextmanager
def undone():
    """Take back what is done to the database, even what services commit by themselves."""
    block = transaction.atomic()
    # As Django's TestCase marks its own; services refuse to run inside any other
    block._from_testcase = True
    with block:
        yield
        transaction.set_rollback(True)
