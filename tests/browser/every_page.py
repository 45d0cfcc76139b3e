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
        then: what is pressed once it is open, a button or link after the other.
        status: of the answer.
    """

    name: str
    role: str
    address: str
    of: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
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
_CONSENT, _EVENT = "delegation_app_consentrecord", "delegation_app_auditevent"

PAGES = (
    Page("home", "nobody", "home"),
    Page("sign-in", "nobody", "login"),
    Page("sign-in-refused", "nobody", "login", then=("Sign in",)),
    Page("admin-sign-in", "nobody", "admin:login"),
    Page("home", "alice", "home"),
    Page("consent", "alice", "delegation_app:authorize", ("?asks",)),
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
        then=("Allow less",),
    ),
    Page("connection-of-another", "alice", "delegation_app:connection", ("bobs",), status=404),
    _admin("operator", "index", "index"),
    _admin("operator", "delegations", f"{_DELEGATION}_changelist"),
    _admin("operator", "delegation", f"{_DELEGATION}_change", "root"),
    _admin("operator", "delegation-child", f"{_DELEGATION}_change", "child"),
    _admin("operator", "revoke", f"{_DELEGATION}_revoke", "child"),
    _admin("operator", "narrow", f"{_DELEGATION}_narrow", "root"),
    _admin("operator", "everything", f"{_DELEGATION}_everything", "root", "both"),
    _admin("operator", "everything-of-client", f"{_DELEGATION}_client", "holder"),
    _admin("operator", "consents", f"{_CONSENT}_changelist"),
    _admin("operator", "consent", f"{_CONSENT}_change", "consent"),
    _admin("operator", "withdraw", f"{_CONSENT}_withdraw", "consent"),
    _admin("operator", "events", f"{_EVENT}_changelist"),
    _admin("operator", "event", f"{_EVENT}_change", "event"),
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
    _admin("auditor", "index", "index"),
    _admin("auditor", "delegation", f"{_DELEGATION}_change", "root"),
    _admin("auditor", "consent", f"{_CONSENT}_change", "consent"),
    _admin("auditor", "client", f"{_CLIENT}_change", "holder"),
    _admin("auditor", "server", f"{_SERVER}_change", "server"),
    _admin("auditor", "keys", f"{_KEY}_changelist"),
    _admin("auditor", "refused", f"{_DELEGATION}_revoke", "child", status=403),
    _admin("staff", "index", "index"),
    _admin("staff", "refused", f"{_DELEGATION}_changelist", status=403),
)
