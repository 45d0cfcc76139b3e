"""Settings of the example project: development by default, everything else from the environment.

========================== =================================================== =====================
Variable                   Meaning                                             Default
========================== =================================================== =====================
DJANGO_DEBUG               1 for development, 0 for production                 1
DJANGO_SECRET_KEY          required in production                              generated, in .demo/
DELEGATION_ISSUER          the public https URL; required in production        http://127.0.0.1:8000
DATABASE_URL               postgres://user:password@host:port/name             SQLite in .demo/
REDIS_URL                  a cache shared by several workers                   memory of the process
DJANGO_ALLOWED_HOSTS       comma-separated host names                          the issuer's host
DJANGO_TRUST_PROXY_PROTO   1 if a proxy always overwrites X-Forwarded-Proto     0
DJANGO_TRUSTED_PROXIES     its networks, comma-separated; unix for a socket    none
DJANGO_HSTS_SECONDS        how long browsers insist on https                   a year
DJANGO_STATIC_ROOT         where collectstatic writes                          staticfiles/
DJANGO_LOG_LEVEL           the least severe message that is logged             INFO
DEMO_DIR                   directory of the files marked .demo/ above          .demo/
========================== =================================================== =====================
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from example_project import database_url, logs
from example_project.environment import env, local_secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
LOCAL_DIR = Path(env.str("DEMO_DIR", "") or BASE_DIR / ".demo")

DEBUG = env.bool("DJANGO_DEBUG", default=True)

if DEBUG:
    SECRET_KEY = env.str("DJANGO_SECRET_KEY", "") or local_secret_key(LOCAL_DIR / "secret_key")
    ISSUER = env.str("DELEGATION_ISSUER", "") or "http://127.0.0.1:8000"
else:
    SECRET_KEY = env.str("DJANGO_SECRET_KEY")
    ISSUER = env.str("DELEGATION_ISSUER")

ALLOWED_HOSTS: list[str] = env.list("DJANGO_ALLOWED_HOSTS", [], subcast=str.strip)
if not ALLOWED_HOSTS and not DEBUG:
    ALLOWED_HOSTS = [urlsplit(ISSUER).hostname or ""]

INSTALLED_APPS = [
    # Before the admin, whose start page it completes
    "delegation_app",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "oauth2_provider",
    "example_project",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "example_project.middleware.ContentSecurityPolicyMiddleware",
    # Before the sessions, which would look up what PostgreSQL refuses
    "delegation_app.views.cookies.StorableCookiesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
ASGI_APPLICATION = "example_project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before the apps' own: Django's admin ships a registration/ directory too.
        "DIRS": [BASE_DIR / "example_project" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database and cache

DATABASE_URL = env.str("DATABASE_URL", "")
DATABASES: dict[str, Any] = {
    "default": (
        database_url.parse(DATABASE_URL, pool=True)
        if DATABASE_URL
        else database_url.sqlite(LOCAL_DIR / "db.sqlite3")
    )
}
if not DATABASE_URL:
    LOCAL_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", "")
if REDIS_URL:
    CACHES: dict[str, Any] = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            # Seconds. A cache that is down must not hold a request: it only saves work.
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        }
    }

# Accounts

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/accounts/login/"

# The authorization server

DELEGATION: dict[str, Any] = {
    "ISSUER": ISSUER,
    # Proxies whose X-Forwarded-For is trusted; behind any other, the caller's address is unknown
    "TRUSTED_PROXIES": env.list("DJANGO_TRUSTED_PROXIES", [], subcast=str.strip),
    # High-risk scopes are never preselected.
    "SCOPE_RISKS": {
        "read:metrics": "low",
        "read:profile": "medium",
        "write:alerts": "medium",
        "delete:alerts": "high",
    },
}

# The client registry. The toolkit's own endpoints are not part of the URLs.
OAUTH2_PROVIDER: dict[str, Any] = {
    "SCOPES": {
        "read:metrics": "Read metrics",
        "write:alerts": "Create alerts",
        "delete:alerts": "Delete alerts",
        "read:profile": "Read your profile",
    },
    # RFC 8252 section 7.3: native apps receive codes on http://127.0.0.1.
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http"],
}

REST_FRAMEWORK: dict[str, Any] = {
    # Each view names its authentication classes; one that names none is closed.
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}

# The protected API: three services, each with its own audience. Here they share this process;
# `manage.py demo` runs two of them in processes of their own (service_settings.py).

SERVICE_SITES: dict[str, str] = {}

# The generated passwords and secrets of the demo; services A and B read their own secret here

DEMO_CREDENTIALS = LOCAL_DIR / "credentials.json"

# Language, time and files

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = Path(env.str("DJANGO_STATIC_ROOT", "") or BASE_DIR / "staticfiles")

# Security

X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
# Not "no-referrer": browsers would then send "Origin: null" with forms, which CSRF checks refuse.
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = not DEBUG

if not DEBUG:
    SECURE_HSTS_SECONDS = env.int("DJANGO_HSTS_SECONDS", 365 * 24 * 3600)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    if env.bool("DJANGO_TRUST_PROXY_PROTO", default=False):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

SILENCED_SYSTEM_CHECKS = [
    "security.W021",  # HSTS preload binds the whole domain, which this site does not own alone
    # About the toolkit's own grants, tokens and redirects, none of which is used
    *(f"oauth2_provider.W00{number}" for number in range(1, 9)),
    # A cache of this process will do for development; `check --deploy` refuses it
    "delegation_app.W020",
]

# Logging

LOGGING: dict[str, Any] = logs.to_console(env.str("DJANGO_LOG_LEVEL", "INFO"))
