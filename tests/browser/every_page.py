"""Every page that people see, by role: one line each. Add a page by adding its line."""

from dataclasses import dataclass

from django.urls import reverse


@dataclass(frozen=True)
class Page:
    """A page to look at.

    Attributes:
        name: of its pictures.
        role: who looks; see `tests.support.site_map.ROLES`.
        address: the name of its URL, or what has a slash: the address itself.
        of: what the address is made of, see `Town.things`.
        then: what is done once it is open, one after the other: the name of a button to press, or
            the label of a field and what is typed there, which may be a name in `things`.
        status: of the answer.
    """

    name: str
    role: str
    address: str
    of: tuple[str, ...] = ()
    then: tuple[str | tuple[str, str], ...] = ()
    status: int = 200

    def url(self, things):
        name, mark, query = self.address.partition("?")
        if "/" not in name:
            name = reverse(name, args=[things[one] for one in self.of if not one.startswith("?")])
        more = "".join(things[one] for one in self.of if one.startswith("?"))
        return name + mark + query + more


def _admin(role, name, page, *of, **more):
    return Page(f"admin-{name}", role, f"admin:{page}", of, **more)


_DELEGATION, _CLIENT = "delegation_app_delegation", "oauth2_provider_application"
_SERVER, _KEY = "delegation_app_resourceserver", "delegation_app_signingkey"
_PROPOSED = "delegation_app_proposedchange"
_CONSENT, _EVENT = "delegation_app_consentrecord", "delegation_app_auditevent"

_FILTERED = "client=web&state=live&children=yes&age=day&used=day"
_TRAIL = "event=delegation.created&outcome=done&client=web&range=day"
_WHY = "Request id, token id, delegation id, or token"

PAGES = (
    Page("home", "nobody", "home"),
    Page("sign-in", "nobody", "login"),
    Page("sign-in-refused", "nobody", "login", then=("Sign in",)),
    Page("admin-sign-in", "nobody", "admin:login"),
    Page("home", "alice", "home"),
    Page("consent", "alice", "delegation_app:authorize", ("?asks",)),
    Page("consent-more", "alice", "delegation_app:authorize", ("?asks-more",)),
    Page("consent-again", "alice", "delegation_app:authorize", ("?asks-risky",), then=("Allow",)),
    Page("consent-waiting", "alice", "delegation_app:authorize", ("?waits",)),
    Page("consent-refused", "alice", "/oauth/authorize?client_id=nobody", status=400),
    Page("device", "alice", "delegation_app:device"),
    Page("device-question", "alice", "delegation_app:device", ("?code",), then=("Continue",)),
    Page("device-wrong", "alice", "/oauth/device?user_code=bbbb-bbbb", then=("Continue",)),
    Page("connections", "alice", "delegation_app:connections"),
    Page("connections-all", "alice", "/connections/?show=all"),
    Page("connections-everything", "alice", "delegation_app:connections-end"),
    Page("connection", "alice", "delegation_app:connection", ("alices",)),
    Page("connection-child", "alice", "delegation_app:connection", ("alices-child",)),
    Page("connection-end", "alice", "delegation_app:connection-end", ("alices",)),
    Page("connection-end-child", "alice", "delegation_app:connection-end", ("alices-child",)),
    Page("connection-narrow", "alice", "delegation_app:connection-narrow", ("alices",)),
    Page(
        "connection-narrow-refused",
        "alice",
        "delegation_app:connection-narrow",
        ("alices",),
        then=("Reduce access",),
    ),
    Page("connection-of-another", "alice", "delegation_app:connection", ("bobs",), status=404),
    _admin("operator", "index", "index"),
    _admin("operator", "delegations", f"{_DELEGATION}_changelist"),
    _admin("operator", "delegations-filtered", f"{_DELEGATION}_changelist?{_FILTERED}"),
    _admin("operator", "delegations-none", f"{_DELEGATION}_changelist?q=nobody"),
    _admin("operator", "bulk", f"{_DELEGATION}_bulk?client=other"),
    _admin(
        "operator",
        "bulk-progress",
        f"{_DELEGATION}_bulk?client=other",
        then=(("Reason", "Other was sold"), "Revoke all of them"),
    ),
    _admin("operator", "delegation", f"{_DELEGATION}_change", "root"),
    _admin("operator", "delegation-child", f"{_DELEGATION}_change", "child"),
    _admin("operator", "revoke", f"{_DELEGATION}_revoke", "child"),
    _admin("operator", "narrow", f"{_DELEGATION}_narrow", "root"),
    _admin("operator", "everything", f"{_DELEGATION}_everything", "root", "both"),
    _admin("operator", "everything-of-client", f"{_DELEGATION}_client", "holder"),
    _admin("operator", "consents", f"{_CONSENT}_changelist"),
    _admin("operator", "consent", f"{_CONSENT}_change", "consent"),
    _admin("operator", "consent-more", f"{_CONSENT}_change", "pending"),
    _admin("operator", "queue", f"{_CONSENT}_changelist?confirmation=pending"),
    _admin("operator", "confirm", f"{_CONSENT}_confirm", "pending"),
    _admin("operator", "refuse", f"{_CONSENT}_refuse", "pending"),
    _admin("operator", "withdraw", f"{_CONSENT}_withdraw", "consent"),
    _admin("operator", "events", f"{_EVENT}_changelist"),
    _admin("operator", "events-filtered", f"{_EVENT}_changelist?{_TRAIL}"),
    _admin("operator", "events-none", f"{_EVENT}_changelist?q=nobody"),
    _admin("operator", "events-wrong", f"{_EVENT}_changelist?at=x&delegation=x", status=400),
    _admin("operator", "event", f"{_EVENT}_change", "event"),
    _admin("operator", "event-refused", f"{_EVENT}_change", "refusal"),
    _admin("operator", "why", f"{_EVENT}_why"),
    _admin("operator", "why-empty", f"{_EVENT}_why", then=("Explain",)),
    _admin("operator", "why-unknown", f"{_EVENT}_why", then=((_WHY, "nothing"), "Explain")),
    _admin("operator", "why-refused", f"{_EVENT}_why", then=((_WHY, "jti-refused"), "Explain")),
    _admin("operator", "why-request", f"{_EVENT}_why", then=((_WHY, "request"), "Explain")),
    _admin("operator", "why-accepted", f"{_EVENT}_why", then=((_WHY, "jti"), "Explain")),
    _admin("operator", "as-of", f"{_EVENT}_asof"),
    _admin("operator", "as-of-wrong", f"{_EVENT}_asof?person=nobody&when="),
    _admin("operator", "as-of-answered", f"{_EVENT}_asof", "?alice-now"),
    _admin("operator", "clients", f"{_CLIENT}_changelist"),
    _admin("operator", "client", f"{_CLIENT}_change", "holder"),
    _admin("operator", "client-add", f"{_CLIENT}_add"),
    _admin("operator", "client-delete", f"{_CLIENT}_delete", "holder"),
    _admin("operator", "client-history", f"{_CLIENT}_history", "holder"),
    _admin("operator", "new-secret", f"{_CLIENT}_new_secret", "holder"),
    _admin("operator", "secret", f"{_CLIENT}_new_secret", "holder", then=("New secret",)),
    _admin("operator", "end-former-secret", f"{_CLIENT}_end_former_secret", "holder"),
    _admin("operator", "client-two-secrets", f"{_CLIENT}_change", "holder"),
    _admin("operator", "servers", f"{_SERVER}_changelist"),
    _admin("operator", "server", f"{_SERVER}_change", "server"),
    _admin("operator", "server-add", f"{_SERVER}_add"),
    _admin("operator", "keys", f"{_KEY}_changelist"),
    _admin("operator", "key", f"{_KEY}_change", "key"),
    _admin("operator", "rotate", f"{_KEY}_rotate"),
    _admin("operator", "proposed", f"{_PROPOSED}_changelist"),
    _admin("operator", "proposed-all", f"{_PROPOSED}_changelist?state=all"),
    _admin("operator", "proposed-own", f"{_PROPOSED}_change", "proposed"),
    _admin("operator", "proposed-withdraw", f"{_PROPOSED}_withdraw", "proposed"),
    _admin("operator", "proposed-of-client", f"{_CLIENT}_change", "holder"),
    _admin("operator", "event-change", f"{_EVENT}_change", "change-event"),
    _admin("superuser", "proposed-change", f"{_PROPOSED}_change", "proposed"),
    _admin("superuser", "proposed-approve", f"{_PROPOSED}_approve", "proposed"),
    _admin("superuser", "proposed-reject", f"{_PROPOSED}_reject", "proposed"),
    _admin("auditor", "proposed-change", f"{_PROPOSED}_change", "proposed"),
    _admin("auditor", "index", "index"),
    _admin("auditor", "delegations", f"{_DELEGATION}_changelist?client=web"),
    _admin("auditor", "delegation", f"{_DELEGATION}_change", "root"),
    _admin("auditor", "consent", f"{_CONSENT}_change", "consent"),
    _admin("auditor", "consent-pending", f"{_CONSENT}_change", "pending"),
    _admin("auditor", "queue", f"{_CONSENT}_changelist?confirmation=pending"),
    _admin("auditor", "events", f"{_EVENT}_changelist"),
    _admin("auditor", "event", f"{_EVENT}_change", "event"),
    _admin("auditor", "why", f"{_EVENT}_why"),
    _admin("auditor", "as-of-answered", f"{_EVENT}_asof", "?alice-now"),
    _admin("auditor", "client", f"{_CLIENT}_change", "holder"),
    _admin("auditor", "server", f"{_SERVER}_change", "server"),
    _admin("auditor", "keys", f"{_KEY}_changelist"),
    _admin("auditor", "refused", f"{_DELEGATION}_revoke", "child", status=403),
    _admin("staff", "index", "index"),
    _admin("staff", "refused", f"{_DELEGATION}_changelist", status=403),
    _admin("staff", "refused-consent", f"{_CONSENT}_confirm", "pending", status=403),
    _admin("staff", "refused-events", f"{_EVENT}_changelist", status=403),
    _admin("staff", "refused-why", f"{_EVENT}_why", status=403),
)
