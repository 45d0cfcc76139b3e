"""Services in the process of the authorization server: for development, and service C.

They have no settings of their own, so their verifier and their client are configured here.
"""

from functools import lru_cache

from django.conf import settings
from django.urls import URLResolver, include, path

from delegation_app.client import Client, Credentials
from delegation_app.resource_server.authentication import BearerAuthentication
from delegation_app.verifiers import LocalVerifier
from example_project.api import urls
from example_project.api.downstream import NoCredentials
from example_project.api.services import Service
from example_project.demo import credentials


def mounted(service: Service) -> URLResolver:
    """Return the URLs of a service in this process."""
    return path(service.path, include(urls.of(service, authentication_of(service), client_of)))


def authentication_of(service: Service) -> type[BearerAuthentication]:
    """Return the authentication of a service, which looks up each token in the tables."""
    verifier = LocalVerifier(service.audience)
    return BearerAuthentication.using(verifier, realm=service.realm, metadata_url="")


def client_of(service: Service) -> Client:
    """Return the client of a service, with its cached tokens.

    Raises:
        NoCredentials: the demo has no secret for it.
    """
    try:
        secret = credentials.load(settings.DEMO_CREDENTIALS).clients[service.key]
    except (credentials.Unreadable, OSError, KeyError):
        raise NoCredentials("It has no secret: run manage.py seed_demo.") from None
    return _client(settings.ISSUER, service.key, secret)


@lru_cache(maxsize=8)
def _client(issuer: str, client_id: str, secret: str) -> Client:
    return Client(issuer, Credentials(client_id, secret))
