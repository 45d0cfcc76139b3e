"""The app configuration."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.signals import connection_created
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _

from delegation_app import clock
from delegation_app.conf import conf
from delegation_app.protocol.constraints import install


class DelegationConfig(AppConfig):
    """Delegation, in INSTALLED_APPS as `delegation_app`."""

    name = "delegation_app"
    verbose_name = _("Delegation")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Import the models, which need the client registry.

        Raises:
            ImproperlyConfigured: it is not installed. A check would come too late: the admin
                imports its modules before checks run.
        """
        if not apps.is_installed("oauth2_provider"):
            raise ImproperlyConfigured(
                'Add "oauth2_provider" to INSTALLED_APPS: it is the client registry.'
            )
        super().import_models()

    def ready(self) -> None:
        """Install the site's constraints and checks, and connect the signal receivers."""
        from delegation_app import checks  # noqa: F401, PLC0415 - registers itself
        from delegation_app.services.delegations import user_lifecycle  # noqa: PLC0415 - needs the models
        from delegation_app.views import sign_in  # noqa: PLC0415 - needs the models

        _install_constraints()
        connection_created.connect(clock.on_connection, dispatch_uid="delegation_clock")
        user_lifecycle.connect_deletions()
        user_lifecycle.connect_changes()
        user_logged_in.connect(sign_in.remember, dispatch_uid="delegation_sign_in")
        _complete_admin()


def _install_constraints() -> None:
    try:
        for path in conf.constraints:
            install(import_string(path))
    # Not a list, a missing module, not a constraint class, a name that is taken
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        message = f'DELEGATION["CONSTRAINTS"] cannot be used: {error}'
        raise ImproperlyConfigured(message) from error


def _complete_admin() -> None:
    # A site's own admin modules may register applications after ours was imported. Sites without
    # autodiscovery import `delegation_app.admin` themselves.
    if not apps.is_installed("django.contrib.admin"):
        return
    from django.contrib.admin.apps import AdminConfig  # noqa: PLC0415 - an app that sites may lack

    if isinstance(apps.get_app_config("admin"), AdminConfig):
        from delegation_app.admin.clients import admin  # noqa: PLC0415 - needs the models

        admin.extend()
