"""The client registry: the only module that imports django-oauth-toolkit.

That package is moving its modules; whatever it renames is changed here alone. Its models are
imported inside the functions, so that this module can be imported before the apps are ready.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from django.contrib.auth.hashers import check_password, identify_hasher, make_password
from oauth2_provider.settings import APPLICATION_MODEL as _APPLICATION_MODEL
from oauth2_provider.settings import oauth2_settings

from delegation_app.protocol import names
from delegation_app.protocol.requests import redirect_uri
from delegation_app.protocol.requests.redirect_uri import Problem
from delegation_app.protocol.scope import Scope

APPLICATION_MODEL: Final[str] = _APPLICATION_MODEL

# What an application row allows where no policy says more
_DEFAULT_GRANTS: Final[Mapping[str, frozenset[str]]] = {
    "authorization-code": frozenset({names.AUTHORIZATION_CODE, names.REFRESH_TOKEN}),
    "client-credentials": frozenset({names.CLIENT_CREDENTIALS}),
    names.DEVICE_CODE: frozenset({names.DEVICE_CODE, names.REFRESH_TOKEN}),
}


class Application(Protocol):
    """What is relied on of an application row, whatever model the site has for it."""

    CLIENT_CONFIDENTIAL: str
    pk: int
    client_id: str
    client_secret: str
    client_type: str
    authorization_grant_type: str
    redirect_uris: str
    skip_authorization: bool
    delegation_policy: Any
    delegation_previous_secret: Any
    delegation_secret_digest: Any

    def get_allowed_schemes(self) -> list[str]:
        """Return the redirect schemes that may be registered."""

    def redirect_uri_allowed(self, uri: str) -> bool:
        """Tell whether `uri` is registered."""

    def save(self, *, update_fields: Iterable[str] | None = None) -> None:
        """Write the row."""


def application_model() -> Any:
    """Return the model that `OAUTH2_PROVIDER_APPLICATION_MODEL` names."""
    from oauth2_provider.models import get_application_model  # noqa: PLC0415 - apps not ready above

    return get_application_model()


def load_admin() -> None:
    """Let the toolkit register its applications in the admin, unless it did so already."""
    from oauth2_provider import admin  # noqa: F401, PLC0415 - registers itself, apps not ready above


def is_confidential(application: Application) -> bool:
    """Tell whether the client can keep a secret (RFC 6749 section 2.1)."""
    return application.client_type == application.CLIENT_CONFIDENTIAL


def is_trusted(application: Application) -> bool:
    """Return True if people are not asked about the client: the application's own mark."""
    # RFC 8252 section 8.6: anybody can claim to be a public client, so a page stands before it
    return application.skip_authorization and is_confidential(application)


def default_grants(application: Application) -> frozenset[str]:
    """Return the grant types of an application that has no policy."""
    return _DEFAULT_GRANTS.get(application.authorization_grant_type, frozenset())


def served_grants() -> frozenset[str]:
    """Return the grant types of an application row that this server serves."""
    return frozenset(_DEFAULT_GRANTS)


def all_scopes() -> Mapping[str, str]:
    """Return every scope of the site with its description, from the toolkit's backend."""
    from oauth2_provider.scopes import get_scopes_backend  # noqa: PLC0415 - apps not ready above

    scopes: Mapping[str, str] = get_scopes_backend().get_all_scopes()
    return scopes


def scopes_are_settings() -> bool:
    """Whether the site's scopes are those of its settings, so that no table has to be read."""
    from oauth2_provider.scopes import SettingsScopes  # noqa: PLC0415 - apps not ready above

    return oauth2_settings.SCOPES_BACKEND_CLASS is SettingsScopes


def available_scopes(application: Application) -> Scope:
    """Return what the toolkit's backend lets this application ask for."""
    from oauth2_provider.scopes import get_scopes_backend  # noqa: PLC0415 - apps not ready above

    return Scope(get_scopes_backend().get_available_scopes(application=application))


def default_scopes(application: Application) -> Scope:
    """Return what a request without `scope` asks for (RFC 6749 section 3.3)."""
    from oauth2_provider.scopes import get_scopes_backend  # noqa: PLC0415 - apps not ready above

    return Scope(get_scopes_backend().get_default_scopes(application=application))


def registered_redirect_uris(application: Application) -> list[str]:
    """Return the registered redirect URIs that can be used; see `redirect_uri_problem`."""
    # Fixtures and scripts can store what the registration forms refuse
    return [
        uri
        for uri in application.redirect_uris.split()
        if redirect_uri_problem(application, uri) is None
    ]


def redirect_uri_problem(application: Application, uri: str) -> Problem | None:
    """Return why a redirect URI of this application cannot be used, or None."""
    return redirect_uri.problem(uri, {name.lower() for name in application.get_allowed_schemes()})


def redirect_uri_matches(application: Application, requested: str) -> bool:
    """Return True if `requested` is registered.

    The toolkit's own comparison must agree, and the strings must be equal: that comparison
    folds the case of hosts and drops tabs and line breaks.
    """
    registered = registered_redirect_uris(application)
    if redirect_uri.is_rewritten(requested):
        return False
    # RFC 9700 section 4.1.3: exact string comparison, the port of loopback URIs excepted
    if requested in registered:
        return application.redirect_uri_allowed(requested)
    # RFC 8252 section 7.3: the port of a loopback redirect URI may be any
    portless = redirect_uri.without_loopback_port(requested)
    same = [uri for uri in registered if redirect_uri.without_loopback_port(uri) == portless]
    if portless is None or not same:
        return False
    # The toolkit compares the port of localhost; what is registered stands for the request there
    asked = same[0] if redirect_uri.is_localhost(requested) else requested
    return application.redirect_uri_allowed(asked)


def is_hashed(stored: str) -> bool:
    """Return True if `stored` is a hash; a site may keep secrets readable (hash_client_secret)."""
    try:
        identify_hasher(stored)
    except ValueError:
        return False
    return True


def secret_matches(application: Application, secret: str) -> bool:
    """Compare a client secret with the stored one, in the toolkit's way; slow on purpose."""
    stored = application.client_secret
    if is_hashed(stored):
        return hashed_secret_matches(stored, secret)
    return readable_secret_matches(stored, secret)


def readable_secret_matches(stored: str, secret: str) -> bool:
    """Compare a client secret with one that the site keeps readable."""
    return bool(stored) and hmac.compare_digest(stored.encode(), secret.encode())


def hashed_secret_matches(stored: str, secret: str) -> bool:
    """Compare a client secret with what `hashed_secret` returned; slow on purpose."""
    return check_password(secret, stored)


def hashed_secret(secret: str) -> str:
    """Return what may be stored of a secret. What is hashed already stays as it is."""
    if is_hashed(secret):
        return secret
    return make_password(secret, hasher=oauth2_settings.CLIENT_SECRET_HASHER)


def generated_secret_length() -> int:
    """Return how many letters and digits a secret of the toolkit's generator has.

    Returns:
        The length; 0 if the site has a generator of its own.
    """
    from oauth2_provider.generators import ClientSecretGenerator  # noqa: PLC0415 - apps not ready

    if oauth2_settings.CLIENT_SECRET_GENERATOR_CLASS is not ClientSecretGenerator:
        return 0
    return int(oauth2_settings.CLIENT_SECRET_GENERATOR_LENGTH)


def waste_time() -> None:
    """Hash once, so that an unknown client costs as much as a wrong secret."""
    make_password("any", hasher=oauth2_settings.CLIENT_SECRET_HASHER)
