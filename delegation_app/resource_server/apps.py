"""The app configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy

from delegation_app.protocol.constraints import install
from delegation_app.resource_server.conf import conf


class ResourceServerConfig(AppConfig):
    """A resource server, in INSTALLED_APPS as `delegation_app.resource_server`. No models."""

    name = "delegation_app.resource_server"
    label = "delegation_resource_server"
    verbose_name = gettext_lazy("Resource server")

    def ready(self) -> None:
        """Install the site's constraints and checks.

        Raises:
            ImproperlyConfigured: there is no audience; a site without one does not start.
        """
        from delegation_app.resource_server import checks  # noqa: F401, PLC0415 - registers itself

        _ = conf.audience
        for path in conf.constraints:
            install(import_string(path))
