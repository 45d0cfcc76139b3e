"""The client registry: the only module that imports django-oauth-toolkit.

The toolkit is renaming its modules, which affects only this one. Its models are imported inside
functions, so that this module can be imported before the apps are ready.
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

# The grants of an application without a policy
_DEFAULT_GRANTS: Final[Mapping[str, frozenset[str]]] = {
    "authorization-code": frozenset({names.AUTHORIZATION_CODE, names.REFRESH_TOKEN}),
    "client-credentials": frozenset({names.CLIENT_CREDENTIALS}),
    names.DEVICE_CODE: frozenset({names.DEVICE_CODE, names.REFRESH_TOKEN}),
}


class Application(Protocol):
    """The members of an application row that this app uses, whatever the site's model is."""

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
        """Return whether `uri` is registered."""

    def save(self, *, update_fields: Iterable[str] | None = None) -> None:
        """Write the row."""


def application_model() -> Any:
    """Return the model that `OAUTH2_PROVIDER_APPLICATION_MODEL` names."""
    from oauth2_provider.models import get_application_model  # noqa: PLC0415 - apps not ready above

    return get_application_model()


def load_admin() -> None:
    """Import the toolkit's admin, which registers its applications."""
    from oauth2_provider import admin  # noqa: F401, PLC0415 - registers itself, apps not ready above


def is_confidential(application: Application) -> bool:
    """Return whether the client is confidential (RFC 6749 section 2.1)."""
    return application.client_type == application.CLIENT_CONFIDENTIAL


def is_trusted(application: Application) -> bool:
    """Return whether the application skips the consent screen."""
    # RFC 8252 section 8.6: any app can impersonate a public client, so the user has to consent
    return application.skip_authorization and is_confidential(application)


def default_grants(application: Application) -> frozenset[str]:
    """Return the grant types of an application that has no policy."""
    return _DEFAULT_GRANTS.get(application.authorization_grant_type, frozenset())


def served_grants() -> frozenset[str]:
    """Return the `authorization_grant_type` values that this server supports."""
    return frozenset(_DEFAULT_GRANTS)


def all_scopes() -> Mapping[str, str]:
    """Return all scopes of the site with their descriptions, from the toolkit's backend."""
    scopes: Mapping[str, str] = _scopes_backend().get_all_scopes()
    return scopes


def _scopes_backend() -> Any:
    from oauth2_provider.scopes import get_scopes_backend  # noqa: PLC0415 - apps not ready above

    return get_scopes_backend()


def scopes_are_settings() -> bool:
    """Return whether the scopes come from the settings, so that no table has to be read."""
    from oauth2_provider.scopes import SettingsScopes  # noqa: PLC0415 - apps not ready above

    return oauth2_settings.SCOPES_BACKEND_CLASS is SettingsScopes


def available_scopes(application: Application) -> Scope:
    """Return the scopes that the toolkit's backend allows for this application."""
    return Scope(_scopes_backend().get_available_scopes(application=application))


def default_scopes(application: Application) -> Scope:
    """Return the scope of a request without `scope` (RFC 6749 section 3.3)."""
    return Scope(_scopes_backend().get_default_scopes(application=application))


def registered_redirect_uris(application: Application) -> list[str]:
    """Return the usable registered redirect URIs; see `redirect_uri_problem`."""
    # Fixtures and scripts can store URIs that the registration forms refuse
    return [
        uri
        for uri in application.redirect_uris.split()
        if redirect_uri_problem(application, uri) is None
    ]


def redirect_uri_problem(application: Application, uri: str) -> Problem | None:
    """Return why a redirect URI of this application is unusable, or None."""
    return redirect_uri.problem(uri, {name.lower() for name in application.get_allowed_schemes()})


def redirect_uri_matches(application: Application, requested: str) -> bool:
    """Return whether `requested` is registered.

    The strings must be equal and the toolkit's comparison must agree, which alone would fold the
    case of hosts and drop tabs and line breaks.
    """
    registered = registered_redirect_uris(application)
    if redirect_uri.is_rewritten(requested):
        return False
    # RFC 9700 section 4.1.3: exact string comparison, the port of loopback URIs excepted
    if requested in registered:
        return application.redirect_uri_allowed(requested)
    # RFC 8252 section 7.3: any port of a loopback redirect URI
    portless = redirect_uri.without_loopback_port(requested)
    same = [uri for uri in registered if redirect_uri.without_loopback_port(uri) == portless]
    if portless is None or not same:
        return False
    # The toolkit compares the port of localhost, so it gets the registered URI there
    compared = same[0] if redirect_uri.is_localhost(requested) else requested
    return application.redirect_uri_allowed(compared)


def is_hashed(stored: str) -> bool:
    """Return whether `stored` is a hash; a site may store plain secrets (hash_client_secret)."""
    try:
        identify_hasher(stored)
    except ValueError:
        return False
    return True


def secret_matches(application: Application, secret: str) -> bool:
    """Compare a client secret with the stored one like the toolkit; slow on purpose."""
    stored = application.client_secret
    if is_hashed(stored):
        return hashed_secret_matches(stored, secret)
    return readable_secret_matches(stored, secret)


def readable_secret_matches(stored: str, secret: str) -> bool:
    """Compare a client secret with one that is stored in plain text."""
    return bool(stored) and hmac.compare_digest(stored.encode(), secret.encode())


def hashed_secret_matches(stored: str, secret: str) -> bool:
    """Compare a client secret with the result of `hashed_secret`; slow on purpose."""
    return check_password(secret, stored)


def hashed_secret(secret: str) -> str:
    """Return the hash to store of a secret; a hash is returned unchanged."""
    if is_hashed(secret):
        return secret
    return make_password(secret, hasher=oauth2_settings.CLIENT_SECRET_HASHER)


def generated_secret_length() -> int:
    """Return the length of the toolkit's generated secrets; 0 if the site has its own generator."""
    from oauth2_provider.generators import ClientSecretGenerator  # noqa: PLC0415 - apps not ready

    if oauth2_settings.CLIENT_SECRET_GENERATOR_CLASS is not ClientSecretGenerator:
        return 0
    return int(oauth2_settings.CLIENT_SECRET_GENERATOR_LENGTH)


def waste_time() -> None:
    """Hash once, so that an unknown client takes as long as a wrong secret."""
    make_password("any", hasher=oauth2_settings.CLIENT_SECRET_HASHER)
