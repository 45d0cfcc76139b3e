"""Sites that mount the endpoints elsewhere."""

import pytest

from tests.sites.site import EXPECTED, ISSUER, MIDDLEWARE, URLS

pytestmark = [pytest.mark.slow, pytest.mark.any_database]

LOCALE = "django.middleware.locale.LocaleMiddleware"
OURS = 'path("", include("delegation_app.urls"))'
WELL_KNOWN = 'path("", include("delegation_app.urls_well_known"))'
BELOW = 'path("auth/", include("delegation_app.urls"))'
LANGUAGES = URLS.replace(
    "from django.urls", "from django.conf.urls.i18n import i18n_patterns\nfrom django.urls"
).replace(f"    {OURS},\n]", f"    *i18n_patterns({OURS}),\n]")
DISCOVERY = """
from django.test import Client

from delegation_app.client import Client as App, Credentials
from delegation_app.client.http.transport import Response


class Transport:
    # What an app asks the site, by the addresses that the specification tells it
    def __init__(self):
        self.asked = []

    def send(self, request):
        path = request.url.removeprefix("https://as.example.com")
        self.asked.append(path)
        found = Client(HTTP_ACCEPT_LANGUAGE="de").generic(
            request.method, path, request.body or b"", "application/x-www-form-urlencoded",
            secure=True, HTTP_AUTHORIZATION=request.headers.get("Authorization", ""),
        )
        return Response(found.status_code, {}, found.content)


def asked(issuer):
    transport = Transport()
    client = App(issuer, Credentials("service-a", "secret-of-service-a-with-enough-entropy-2f6c1d"),
                 transport=transport)
    client.client_credentials(scope="read:metrics")
    return transport.asked
"""


def test_site_when_endpoints_are_below_a_prefix_then_a_number_and_with_the_root_it_works(build):
    databases, issuer = {"default": build.database()}, f"{ISSUER}/auth"
    differences = {"DATABASES": databases, "DELEGATION": {"ISSUER": issuer}}
    site = build.site(urls=URLS.replace(OURS, BELOW), **differences)
    assert site.check() == ["W015"]

    urls = URLS.replace(OURS, f"{BELOW},\n    {WELL_KNOWN}")
    site = build.site(urls=urls, files={"discovery.py": DISCOVERY}, **differences).migrated()
    assert site.check("--database", "default") == []
    assert site.story() == EXPECTED
    assert site.evaluate(f"asked({issuer!r})", "from discovery import asked") == [
        "/.well-known/oauth-authorization-server/auth",
        "/auth/oauth/token",
    ]


def test_site_when_endpoints_depend_on_the_language_then_a_number_and_clients_get_one(build):
    urls = LANGUAGES.replace("\n]", f"\n    {WELL_KNOWN},\n]")
    middleware = [*MIDDLEWARE[:1], LOCALE, *MIDDLEWARE[1:]]
    site = build.site(
        urls=urls, MIDDLEWARE=middleware, USE_I18N=True, files={"discovery.py": DISCOVERY}
    ).migrated()

    assert site.check() == ["W016"]
    assert site.story() == EXPECTED
    assert site.evaluate(f"asked({ISSUER!r})", "from discovery import asked") == [
        "/.well-known/oauth-authorization-server",
        "/en/oauth/token",
    ]


def test_site_when_it_is_below_a_script_name_then_a_number_and_endpoints_have_it(build):
    site = build.site(
        FORCE_SCRIPT_NAME="/auth", LOGIN_URL="/auth/login/", DELEGATION={"ISSUER": f"{ISSUER}/auth"}
    ).migrated()

    # What stands at the root belongs to the web server, which Django cannot look at
    assert site.check() == ["W015"]
    assert site.story() == {**EXPECTED, "connections of nobody": [302, "/auth/login/"]}
    told = site.evaluate(
        "Client().get('/.well-known/oauth-authorization-server', secure=True).json()",
        "from django.test import Client",
    )
    assert told["token_endpoint"] == f"{ISSUER}/auth/oauth/token"
