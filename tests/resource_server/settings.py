"""A resource server and nothing else: no database, no accounts, no authorization server."""

SECRET_KEY = "a key for tests, of no value to anyone, but long enough"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.resource_server.urls"
MIDDLEWARE = []
DATABASES = {}
INSTALLED_APPS = ["rest_framework", "delegation_app.resource_server"]

DELEGATION_RESOURCE_SERVER = {
    "ISSUER": "https://as.example.com",
    "AUDIENCE": "https://service-a.example.com",
    "SCOPES": ["read:metrics", "write:alerts"],
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": None,
}
