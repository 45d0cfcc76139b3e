"""Host projects: each is a temporary folder, described by what it does differently.

A site is run as its owner runs it, by commands in processes of their own, on SQLite or, with
TEST_DATABASE_URL, on PostgreSQL.
"""

import json
import os
import sqlite3
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from example_project import database_url

ROOT = Path(__file__).parents[2]
ISSUER = "https://as.example.com"
APPS = [
    "delegation_app",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "oauth2_provider",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
SCOPES = {
    "read:metrics": "Read metrics",
    "write:alerts": "Create alerts",
    "delete:alerts": "Delete alerts",
    "read:profile": "Read your profile",
}
SETTINGS = {
    "SECRET_KEY": "a key for tests, of no value to anyone, but long enough",
    "ALLOWED_HOSTS": ["*"],
    "INSTALLED_APPS": APPS,
    "MIDDLEWARE": MIDDLEWARE,
    "ROOT_URLCONF": "urls",
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    "STATIC_URL": "static/",
    "LOGIN_URL": "/login/",
    "USE_TZ": True,
    "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    "OAUTH2_PROVIDER": {
        "SCOPES": SCOPES,
        # Of the mobile app in `tests.support.world`
        "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http", "com.example.mobile"],
    },
    "DELEGATION": {"ISSUER": ISSUER},
}
URLS = """
from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("login/", LoginView.as_view(template_name="admin/login.html"), name="login"),
    path("", include("delegation_app.urls")),
]
"""

# What `story` returns where everything works
EXPECTED = {
    "metadata": 200,
    "jwks": 200,
    "statuses": 200,
    "question": 200,
    "answer": 303,
    "code": 200,
    "refresh": 200,
    "exchange": 200,
    "client credentials": 200,
    "device": 200,
    "device page": 200,
    "poll": 200,
    "introspect": [True, False],
    "revoke": 200,
    "no client": 401,
    "connections": 200,
    "connections as JSON": 200,
    "connections of nobody": [302, "/login/"],
    "connections of nobody as JSON": 401,
    "end": 303,
    "admin revoke": 302,
    "admin rotate": 302,
    "admin": 200,
    "operator as JSON": 200,
}


# The content of a database by the apps that have made it
_MIGRATED = {}


def _content(name):
    with closing(sqlite3.connect(name)) as connection:
        # Or the newest rows are in a file beside it
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(name).read_bytes()


class Site:
    """A host project.

    Args:
        folder: where it is made.
        urls: its URLconf, as source text.
        files: further modules, as source text by file name.
        settings: what differs from `SETTINGS`.
    """

    def __init__(self, folder, *, urls=URLS, files=None, **settings):
        self.folder = folder
        values = {**SETTINGS, **settings}
        self._databases, self._apps = values["DATABASES"], tuple(values["INSTALLED_APPS"])
        text = "".join(f"{name} = {value!r}\n" for name, value in values.items())
        for name, source in {"settings.py": text, "urls.py": urls, **(files or {})}.items():
            (folder / name).write_text(source)

    def manage(self, *arguments, fails=False, **environment):
        """Run a command; return what it wrote.

        Args:
            arguments: of `manage.py`.
            fails: whether it has to end with an error.
            environment: variables of the process, beside those that it needs.
        """
        result = self._run(["-m", "django", *arguments], environment)
        assert (result.returncode != 0) == fails, (arguments, result.stdout, result.stderr)
        assert "Traceback" not in result.stderr, result.stderr
        return result.stdout + result.stderr

    def check(self, *arguments, fails=False):
        """Return the numbers of our checks that `check` reports, each once and sorted.

        Args:
            arguments: of `check`, such as `--deploy`.
            fails: whether they have to be errors.
        """
        text = self.manage("check", *arguments, fails=fails)
        found = {part.split(")")[0] for part in text.split("(delegation_app.")[1:]}
        return sorted(found)

    def migrated(self):
        """Make the tables of every database, and return the site.

        Nine of ten seconds of a test would go into the same migrations: a SQLite file that the same
        apps have made in this process is copied.
        """
        databases = list(self._databases.values())
        is_alike = len(databases) == 1 and databases[0]["ENGINE"].endswith("sqlite3")
        if is_alike and self._apps in _MIGRATED:
            Path(databases[0]["NAME"]).write_bytes(_MIGRATED[self._apps])
            return self
        for alias in self._databases:
            self.manage("migrate", "--database", alias, "-v0")
        if is_alike:
            _MIGRATED[self._apps] = _content(databases[0]["NAME"])
        return self

    def story(self, **environment):
        """Tell the story of `tests.sites.story` at this site; return what each step answered."""
        return self.evaluate("story.steps()", "from tests.sites import story", **environment)

    def evaluate(self, expression, imports="", **environment):
        """Return the value of an expression in a process of the site, with Django set up."""
        script = f"import json, django; django.setup(); {imports}\nprint(json.dumps({expression}))"
        result = self._run(["-c", script], environment)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout.splitlines()[-1])

    def _run(self, arguments, environment):
        paths = [str(self.folder), str(ROOT), os.environ.get("PYTHONPATH", "")]
        variables = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "DJANGO_SETTINGS_MODULE": "settings",
        }
        # Each compiles what it imports, and would leave that behind for nothing
        variables |= {"PYTHONDONTWRITEBYTECODE": "1", **environment}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


class Builder:
    """Makes sites in one temporary folder, and the databases that they need."""

    def __init__(self, folder):
        self._folder = folder
        self._url = os.environ.get("TEST_DATABASE_URL")
        self._made = []

    def site(self, **differences):
        """Make a site whose database is empty, with nothing else said a single one."""
        if "DATABASES" not in differences:
            differences["DATABASES"] = {"default": self.database()}
        folder = self._folder / f"site_{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        return Site(folder, **differences)

    def database(self, **more):
        """Make an empty database, and return its entry for DATABASES with `more` in it."""
        name = f"site_{uuid.uuid4().hex}"
        if not self._url:
            return {**database_url.sqlite(self._folder / f"{name}.sqlite3"), **more}
        self._made.append(name)
        self._administer(f'CREATE DATABASE "{name}"')
        return {**database_url.parse(self._url), "NAME": name, **more}

    def close(self):
        """Drop the databases."""
        for name in self._made:
            self._administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _administer(self, statement):
        url = urlsplit(self._url)._replace(path="/postgres").geturl()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)
