"""The example project's settings, made quick and repeatable."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault(
    "DJANGO_SECRET_KEY", "a key for tests, of no value to anyone, but long enough"
)
os.environ["DJANGO_DEBUG"] = "1"

from example_project import database_url
from example_project.settings import *

DEBUG = False
ALLOWED_HOSTS = ["*"]
ISSUER = "https://as.example.com"
DELEGATION = {"ISSUER": ISSUER}

# Emptied when the process ends, so runs side by side never meet.
_directory = tempfile.TemporaryDirectory(prefix="django-delegation-")

# A file, since threads get connections of their own and each to :memory: is another database.
DATABASES = {
    "default": database_url.parse(os.environ["TEST_DATABASE_URL"])
    if os.environ.get("TEST_DATABASE_URL")
    else {
        **database_url.sqlite(Path(_directory.name) / "db.sqlite3"),
        "TEST": {"NAME": str(Path(_directory.name) / "test.sqlite3")},
    }
}

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# A slow hash is worth its time where the passwords are worth something.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
