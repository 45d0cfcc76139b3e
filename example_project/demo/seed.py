"""Seeding: missing rows of the demo's world are added, changed ones are restored."""

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission
from django.db import DatabaseError, models
from django.db.models import Q

from delegation_app import toolkit
from delegation_app.conf import conf
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.claims import client_subject
from delegation_app.services.audit import RequestContext
from delegation_app.services.clients import changes, logos, secrets, snapshots
from delegation_app.services.delegations import blocks
from delegation_app.services.transactions import advisory_lock, nested
from example_project.demo import credentials, world

# The grant type of the toolkit's application row; the policy decides
_KINDS: Final[Mapping[str, str]] = {
    names.AUTHORIZATION_CODE: "authorization-code",
    names.DEVICE_CODE: names.DEVICE_CODE,
}


class NotReady(Exception):
    """The demo cannot be seeded; the text says what to do."""


def make() -> dict[str, Any]:
    """Seed the demo; return its users, services and clients, with passwords and secrets.

    Raises:
        NotReady: the tables are missing, or the file of credentials is damaged.

    Side effects: the file of credentials, rows of users, clients and resource servers, and an audit
        event for each client and resource server that was added or changed.
    """
    try:
        known = credentials.load_or_make(
            settings.DEMO_CREDENTIALS, users=world.USERS, clients=world.CONFIDENTIAL
        )
        _write(known)
    except credentials.Unreadable as error:
        raise NotReady(str(error)) from error
    except DatabaseError as error:
        raise NotReady(f"Run migrate first: {error}") from error
    return {
        "issuer": conf.issuer,
        "users": {name: {"username": name, "password": known.users[name]} for name in world.USERS},
        "audiences": {key: service.identifier for key, service in world.SERVICES.items()},
        "clients": {
            client_id: {
                "client_id": client_id,
                "client_secret": known.clients.get(client_id),
                "redirect_uris": list(spec.redirect_uris),
                "scopes": list(spec.scopes),
                "grants": list(spec.grants),
            }
            for client_id, spec in world.CLIENTS.items()
        },
    }


def _write(known: credentials.Credentials) -> None:
    with nested():
        # Two first runs at the same time would both see an empty database.
        advisory_lock("demo:seed")
        for name in world.USERS:
            _seed_user(name, known.users[name])
        services = {key: _seed_service(spec) for key, spec in world.SERVICES.items()}
        for client_id, spec in world.CLIENTS.items():
            _seed_client(client_id, spec, services, known.clients.get(client_id, ""))


def _seed_user(name: str, password: str) -> None:
    is_staff = name in {"operator", "auditor"}
    values = {"is_staff": is_staff, "is_superuser": False, "is_active": True}
    user, _added = get_user_model().objects.update_or_create(
        username=name,
        defaults=values,
        create_defaults={**values, "password": make_password(password)},
    )
    if not user.check_password(password):
        user.set_password(password)
        user.save(update_fields=["password"])
    user.user_permissions.set(_permissions(name) if is_staff else [])


def _permissions(name: str) -> models.QuerySet[Permission]:
    ours = Q(content_type__app_label="delegation_app")
    if name == "auditor":
        return Permission.objects.filter(ours, codename__startswith="view_")
    application = toolkit.application_model()._meta
    clients_page = Q(
        content_type__app_label=application.app_label,
        codename__in=[f"{action}_{application.model_name}" for action in ("view", "change")],
    )
    return Permission.objects.filter(ours | clients_page)


def _seed_service(spec: world.Service) -> ResourceServer:
    found = ResourceServer.objects.filter(identifier=spec.identifier)
    before = snapshots.resource_server(found.values_list("pk", flat=True).first())
    service, _added = ResourceServer.objects.update_or_create(
        identifier=spec.identifier,
        defaults={"name": spec.name, "scopes": spec.scopes, "active": True},
    )
    values = snapshots.diff(before, snapshots.resource_server(service.pk))
    if values.fields:
        changes.record_resource_server_change(
            service, RequestContext(), change=_change(before), values=values
        )
    return service


def _seed_client(
    client_id: str, spec: world.Client, services: Mapping[str, ResourceServer], secret: str
) -> None:
    found = toolkit.application_model().objects.filter(client_id=client_id)
    before = snapshots.client(found.values_list("pk", flat=True).first())
    application = _seed_application(client_id, spec, secret)
    _seed_policy(application, spec, [services[key] for key in spec.audiences])
    introspects = [] if spec.service is None else [services[spec.service]]
    application.introspectable_resource_servers.set(introspects)
    values = snapshots.diff(before, snapshots.client(application.pk))
    if values.fields:
        changes.record_client_change(
            application, RequestContext(), change=_change(before), values=values
        )
    for subject in ("", client_subject(client_id)):
        blocks.lift_all(subject, client_id, RequestContext(), reason="seeded again")


def _seed_application(client_id: str, spec: world.Client, secret: str) -> Any:
    kinds = [kind for grant, kind in _KINDS.items() if grant in spec.grants]
    values = {
        "name": spec.name,
        "client_type": "public" if spec.public else "confidential",
        "authorization_grant_type": kinds[0] if kinds else "client-credentials",
        "redirect_uris": " ".join(spec.redirect_uris),
        "skip_authorization": False,
    }
    # The toolkit hashes the secret; a public client gets a random one that is not kept.
    first = values if spec.public else {**values, "client_secret": secret}
    application, added = toolkit.application_model().objects.update_or_create(
        client_id=client_id, defaults=values, create_defaults=first
    )
    if spec.public or secrets.quickly_judged(application, None, secret):
        return application
    if not added and not toolkit.secret_matches(application, secret):
        application.client_secret = secret
        application.save(update_fields=["client_secret"])
    secrets.keep_digest(application, secret)
    return application


def _seed_policy(
    application: toolkit.Application, spec: world.Client, audiences: list[ResourceServer]
) -> None:
    plain = ClientPolicy(application=application)
    fields = [
        field.name for field in plain._meta.fields if field.editable and not field.primary_key
    ]
    policy, _added = ClientPolicy.objects.update_or_create(
        application=application,
        defaults={
            **{name: getattr(plain, name) for name in fields},
            "grants": list(spec.grants),
            "scopes": spec.scopes,
            "default_audience": audiences[0] if audiences else None,
            "home_page": f"{spec.site}/" if spec.site else "",
            "privacy_page": f"{spec.site}/privacy" if spec.site else "",
        },
    )
    policy.audiences.set(audiences)
    if spec.logo is not None and not logos.address_of(policy):
        logos.put(policy, spec.logo)


def _change(before: snapshots.RegistryState | None) -> changes.Change:
    return "added" if before is None else "changed"
