"""Settings of service A or B in a process of its own: a resource server without a database.

======================== ===================================================== ===================
Variable                 Meaning                                               Default
======================== ===================================================== ===================
DEMO_SERVICE             service_a or service_b                                required
DELEGATION_ISSUER        the authorization server; required in production      127.0.0.1:8000
DEMO_SERVICE_SITE        the origin of this service; required in production    127.0.0.1:8001, 8002
DEMO_NEXT_SITE           the origin of the service that it calls; likewise      127.0.0.1:8002, 8000
DEMO_CLIENT_SECRET       the secret of its client                              from DEMO_DIR
DJANGO_DEBUG             1 for development, 0 for production                   1
DJANGO_SECRET_KEY        signs nothing here; Django requires one               random
DJANGO_ALLOWED_HOSTS     comma-separated host names                            the service's host
DJANGO_TRUST_PROXY_PROTO 1 if a proxy always overwrites X-Forwarded-Proto       0
DJANGO_TRUSTED_PROXIES   its networks, comma-separated; unix for a socket      none
DJANGO_HSTS_SECONDS      how long browsers insist on https                     a year
DJANGO_LOG_LEVEL         the least severe message that is logged               INFO
DEMO_DIR                 where seed_demo keeps the credentials                 .demo/
======================== ===================================================== ===================
"""

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key

from delegation_app.resource_server.challenge import WELL_KNOWN
from example_project import logs
from example_project.api.services import BY_KEY
from example_project.demo import credentials
from example_project.environment import env

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_DIR = Path(env.str("DEMO_DIR", "") or BASE_DIR / ".demo")

DEBUG = env.bool("DJANGO_DEBUG", default=True)

_LOCAL: Final = {
    "issuer": "http://127.0.0.1:8000",
    "service_a": "http://127.0.0.1:8001",
    "service_b": "http://127.0.0.1:8002",
    # In the process of the authorization server
    "service_c": "http://127.0.0.1:8000",
}


def _site(variable: str, key: str) -> str:
    return env.str(variable, "") or _LOCAL[key] if DEBUG else env.str(variable)


def _stored_secret(key: str) -> str:
    try:
        return credentials.load(LOCAL_DIR / "credentials.json").clients[key]
    except (credentials.Unreadable, KeyError):
        raise ImproperlyConfigured(
            f"{key} has no DEMO_CLIENT_SECRET: run manage.py seed_demo."
        ) from None


DEMO_SERVICE = env.str("DEMO_SERVICE")
_service = BY_KEY.get(DEMO_SERVICE)
if _service is None or _service.next is None:
    raise ImproperlyConfigured(
        f"DEMO_SERVICE must be service_a or service_b, not {DEMO_SERVICE!r}."
    )

ISSUER = _site("DELEGATION_ISSUER", "issuer")
_own_site = _site("DEMO_SERVICE_SITE", _service.key)
SERVICE_SITES = {_service.next.key: _site("DEMO_NEXT_SITE", _service.next.key)}

SECRET_KEY = env.str("DJANGO_SECRET_KEY", "") or get_random_secret_key()
ALLOWED_HOSTS: list[str] = env.list("DJANGO_ALLOWED_HOSTS", [], subcast=str.strip)
if not ALLOWED_HOSTS and not DEBUG:
    ALLOWED_HOSTS = [urlsplit(_own_site).hostname or ""]

# No accounts, no sessions, no tables
DATABASES: dict[str, Any] = {}
INSTALLED_APPS = ["rest_framework", "delegation_app.resource_server"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "example_project.service_urls"
WSGI_APPLICATION = "example_project.wsgi.application"
ASGI_APPLICATION = "example_project.asgi.application"
USE_TZ = True
TIME_ZONE = "UTC"

DELEGATION_RESOURCE_SERVER: dict[str, Any] = {
    "ISSUER": ISSUER,
    "AUDIENCE": _service.audience,
    # No call per request: the issuer's published keys and its status lists
    "VERIFIER": "offline",
    "CLIENT_ID": _service.key,
    "CLIENT_SECRET": env.str("DEMO_CLIENT_SECRET", "") or _stored_secret(_service.key),
    "REALM": _service.realm,
    # The audience is an identifier only; no server has that address
    "METADATA_URL": _own_site + WELL_KNOWN,
    "RESOURCE_NAME": _service.key.replace("_", " ").capitalize(),
    "SCOPES": ("read:metrics", "write:alerts"),
    # Proxies whose X-Forwarded-For is trusted; behind any other, the caller's address is unknown
    "TRUSTED_PROXIES": env.list("DJANGO_TRUSTED_PROXIES", [], subcast=str.strip),
}

REST_FRAMEWORK: dict[str, Any] = {
    # Each view names its authentication classes; one that names none is closed.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    # Django's anonymous user needs django.contrib.auth
    "UNAUTHENTICATED_USER": None,
}

X_FRAME_OPTIONS = "DENY"
SECURE_SSL_REDIRECT = not DEBUG
if not DEBUG:
    SECURE_HSTS_SECONDS = env.int("DJANGO_HSTS_SECONDS", 365 * 24 * 3600)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    if env.bool("DJANGO_TRUST_PROXY_PROTO", default=False):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

SILENCED_SYSTEM_CHECKS = [
    "security.W003",  # no cookie, so no request to forge
    "security.W021",  # HSTS preload binds the whole domain, which this service does not own alone
]

LOGGING: dict[str, Any] = logs.to_console(env.str("DJANGO_LOG_LEVEL", "INFO"))
