"""Users, resource servers and clients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models
from factory.declarations import LazyFunction, RelatedFactory, Sequence, SubFactory

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.scope import Scope
from delegation_app.protocol.secrets import new_secret
from delegation_app.testing.claims import scope_of
from delegation_app.testing.factories.base import WrittenFactory

PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - for tests only

_GRANTS: Final = (
    names.AUTHORIZATION_CODE,
    names.CLIENT_CREDENTIALS,
    names.DEVICE_CODE,
    names.REFRESH_TOKEN,
    names.TOKEN_EXCHANGE,
)
_PUBLIC_GRANTS: Final = (names.AUTHORIZATION_CODE, names.DEVICE_CODE, names.REFRESH_TOKEN)


class UserFactory(WrittenFactory):
    """A user of whatever model AUTH_USER_MODEL names.

    The field of USERNAME_FIELD and an e-mail address are filled in. Pass other required fields, or
    declare them in a subclass.

    Parameters:
        password: in clear text; the default is `PASSWORD`.
        any other: fields of the model.

    The instance has the clear text in `plain_password`.
    """

    class Meta:
        model = settings.AUTH_USER_MODEL

    number = Sequence(int)
    password = PASSWORD

    @classmethod
    def _make(cls, *, number: int, password: str, **fields: Any) -> Any:
        model: Any = get_user_model()
        filled_in = {model.USERNAME_FIELD, model.get_email_field_name()}
        # A model without an e-mail address names the field all the same
        for field in model._meta.get_fields():
            if field.name in filled_in:
                at = "@example.com" if isinstance(field, models.EmailField) else ""
                fields.setdefault(field.name, f"user{number}{at}")
        user = model(**fields)
        user.set_password(password)
        user.save()
        user.plain_password = password
        return user


class ResourceServerFactory(WrittenFactory):
    """A resource server that knows every scope of the site.

    Parameters:
        identifier: an absolute URI; the value of `aud`.
        name: the unique display name.
        scopes: names separated by spaces, or an iterable of names.
        introspectors: the applications of this service, which introspect and exchange.
        any other: fields of `ResourceServer`.

    Raises:
        ValidationError: the admin would refuse the row.
    """

    class Meta:
        model = ResourceServer

    identifier = Sequence(lambda n: f"https://service-{n}.example.com")
    name = Sequence(lambda n: f"Service {n}")
    scopes = LazyFunction(lambda: Scope(toolkit.all_scopes()))
    introspectors = ()

    @classmethod
    def _make(
        cls, *, scopes: str | Iterable[str], introspectors: Iterable[Any], **fields: Any
    ) -> ResourceServer:
        server = ResourceServer(scopes=scope_of(scopes), **fields)
        server.full_clean()
        server.save()
        server.introspectors.set(introspectors)
        return server


class ClientFactory(WrittenFactory):
    """A client: an application of the registry, with a policy.

    Parameters:
        public: True for a client without a secret.
        policy: None for no policy; `policy__scopes`, `policy__audiences` and so on are parameters
            of `ClientPolicyFactory`.
        any other: fields of the application, such as `name`, `client_id` and `redirect_uris`.

    The instance has its secret in clear text in `plain_secret`; None for a public client.
    """

    class Meta:
        model = toolkit.APPLICATION_MODEL

    name = Sequence(lambda n: f"Client {n}")
    redirect_uris = Sequence(lambda n: f"https://client-{n}.example.com/callback")
    authorization_grant_type = "authorization-code"
    public = False
    policy = RelatedFactory(
        "delegation_app.testing.factories.parties.ClientPolicyFactory",
        factory_related_name="application",
    )

    @classmethod
    def _make(cls, *, public: bool, client_secret: str | None = None, **fields: Any) -> Any:
        secret = None if public else client_secret or new_secret()
        fields.setdefault("client_type", "public" if public else "confidential")
        application = toolkit.application_model()(client_secret=secret or "", **fields)
        application.save()
        application.plain_secret = secret
        return application


class ClientPolicyFactory(WrittenFactory):
    """The policy of a client: by default all grants of its kind, at one resource server.

    Parameters:
        application: the client.
        grants: grant types; all that its kind can use by default.
        scopes: names separated by spaces, or an iterable of names; all by default.
        audiences: resource servers; a new one by default.
        any other: fields of `ClientPolicy`.

    Raises:
        ValidationError: the admin would refuse the row.
    """

    class Meta:
        model = ClientPolicy

    application = SubFactory(ClientFactory, policy=None)
    scopes = LazyFunction(lambda: Scope(toolkit.all_scopes()))
    grants = None
    audiences = None

    @classmethod
    def _make(
        cls,
        *,
        application: Any,
        scopes: str | Iterable[str],
        grants: Iterable[str] | None,
        audiences: Iterable[ResourceServer] | None,
        **fields: Any,
    ) -> ClientPolicy:
        usual = _GRANTS if toolkit.is_confidential(application) else _PUBLIC_GRANTS
        chosen = list(usual if grants is None else grants)
        policy = ClientPolicy(
            application=application, grants=chosen, scopes=scope_of(scopes), **fields
        )
        policy.full_clean()
        policy.save()
        policy.audiences.set([ResourceServerFactory.create()] if audiences is None else audiences)
        return policy
