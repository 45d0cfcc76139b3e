"""Services that share the authorization server's process: a development setup, and service C.

None of them has settings of its own, so each is told here how it verifies and who it is.
"""

from functools import lru_cache

from django.conf import settings
from django.urls import URLResolver, include, path

from delegation_app.client import Client, Credentials
from delegation_app.resource_server.authentication import BearerAuthentication
from delegation_app.services.tokens.local_verifier import LocalVerifier
from example_project.api import urls
from example_project.api.downstream import NoCredentials
from example_project.api.services import Service
from example_project.demo import credentials


def mounted(service: Service) -> URLResolver:
    """Mount a service in the process of the authorization server."""
    return path(service.path, include(urls.of(service, authentication_of(service), client_of)))


def authentication_of(service: Service) -> type[BearerAuthentication]:
    """Return how a service knows who asks: it looks each token up in the tables beside it."""
    verifier = LocalVerifier(service.audience)
    return BearerAuthentication.using(verifier, realm=service.realm, metadata_url="")


def client_of(service: Service) -> Client:
    """Return the client of a service, with the tokens that it got so far.

    Raises:
        NoCredentials: its secret is not where the demo keeps them.
    """
    try:
        secret = credentials.secret_of(settings.DEMO_CREDENTIALS, service.key)
    except (credentials.Unreadable, OSError):
        secret = None
    if secret is None:
        raise NoCredentials("It has no secret: run manage.py seed_demo.")
    return _client(settings.ISSUER, service.key, secret)


@lru_cache(maxsize=8)
def _client(issuer: str, client_id: str, secret: str) -> Client:
    return Client(issuer, Credentials(client_id, secret))
