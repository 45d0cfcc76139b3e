"""The demo's world as rows: those that are missing are made, those that drifted brought back."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission
from django.db import models
from django.db.models import Q

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol import names
from delegation_app.protocol.claims import client_subject
from delegation_app.protocol.scope import Scope
from delegation_app.services.audit import RequestContext
from delegation_app.services.clients import changes, logos, secrets, snapshots
from delegation_app.services.delegations import blocks
from delegation_app.services.transactions import advisory_lock, nested
from example_project.demo import logo, world
from example_project.demo.credentials import Credentials

M = TypeVar("M", bound=models.Model)

# What the toolkit's application row says beside the policy, where the real rules stand
_KINDS: Final[Mapping[str, str]] = {
    names.AUTHORIZATION_CODE: "authorization-code",
    names.DEVICE_CODE: names.DEVICE_CODE,
}

# No client of the demo is special in any of these.
_PLAIN: Final[Mapping[str, Any]] = {
    "token_endpoint_auth_method": "",
    "always_prompt": False,
    "may_introspect_all": False,
    "access_token_lifetime": None,
    "refresh_token_lifetime": None,
    "delegation_lifetime": None,
    "required_scopes": Scope(),
    "confirm_risky": False,
}


def bring(credentials: Credentials) -> None:
    """Make or correct everything in `world`.

    Side effects: rows of users, clients and resource servers, and an audit event for each of the
    latter two that was changed; nothing at all if nothing drifted.
    """
    with nested():
        # Two first runs side by side would both see an empty database.
        advisory_lock("demo:seed")
        for name in world.USERS:
            _seed_user(name, credentials.users[name])
        services = {key: _seed_service(spec) for key, spec in world.SERVICES.items()}
        for client_id, spec in world.CLIENTS.items():
            _seed_client(client_id, spec, services, credentials.clients.get(client_id, ""))


def _seed_user(name: str, password: str) -> None:
    is_staff = name in {"operator", "auditor"}
    values = {"is_staff": is_staff, "is_superuser": False, "is_active": True}
    at_first = {"password": lambda: make_password(password)}
    user, changed = _bring(get_user_model(), {"username": name}, values, at_first)
    if "username" not in changed and not user.check_password(password):
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
        codename__in=[f"{deed}_{application.model_name}" for deed in ("view", "change")],
    )
    return Permission.objects.filter(ours | clients_page)


def _seed_service(spec: world.Service) -> ResourceServer:
    key = {"identifier": spec.identifier}
    before = snapshots.resource_server(_key_of(ResourceServer, key))
    service, _changed = _bring(
        ResourceServer, key, {"name": spec.name, "scopes": spec.scopes, "active": True}
    )
    values = snapshots.diff(before, snapshots.resource_server(service.pk))
    if values.fields:
        change = _change(before)
        changes.record_resource_server_change(
            service, RequestContext(), change=change, values=values
        )
    return service


def _seed_client(
    client_id: str, spec: world.Client, services: Mapping[str, ResourceServer], secret: str
) -> None:
    before = snapshots.client(_key_of(toolkit.application_model(), {"client_id": client_id}))
    application = _seed_application(client_id, spec, secret)
    _seed_policy(application, spec, [services[key] for key in spec.audiences])
    spoken_for = [] if spec.speaks_for is None else [services[spec.speaks_for]]
    _set(application.introspectable_resource_servers, spoken_for)
    values = snapshots.diff(before, snapshots.client(application.pk))
    if values.fields:
        change = _change(before)
        changes.record_client_change(application, RequestContext(), change=change, values=values)
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
    model = toolkit.application_model()
    # The toolkit stores a hash of what is set here; a public client gets one that nobody knows.
    at_first = {} if spec.public else {"client_secret": secret}
    application, changed = _bring(model, {"client_id": client_id}, values, at_first)
    if spec.public or secrets.quickly_judged(application, None, secret):
        return application
    if "client_id" not in changed and not toolkit.secret_matches(application, secret):
        application.client_secret = secret
        application.save(update_fields=["client_secret"])
    secrets.keep_digest(application, secret)
    return application


def _seed_policy(
    application: toolkit.Application, spec: world.Client, audiences: list[ResourceServer]
) -> None:
    values = {
        "enabled": True,
        "grants": list(spec.grants),
        "scopes": spec.scopes,
        "default_audience": audiences[0] if audiences else None,
        "home_page": f"{spec.site}/" if spec.site else "",
        "privacy_page": f"{spec.site}/privacy" if spec.site else "",
        **_PLAIN,
    }
    policy, _changed = _bring(ClientPolicy, {"application": application}, values)
    _set(policy.audiences, audiences)
    if spec.colour is not None and not logos.address_of(policy):
        logos.put(policy, logo.png(spec.colour))


def _bring(
    model: type[M],
    key: Mapping[str, Any],
    values: Mapping[str, Any],
    at_first: Mapping[str, Any] | None = None,
) -> tuple[M, set[str]]:
    """Find or make a row, and set what differs.

    Args:
        model: its model.
        key: what it is found by.
        values: what it shall say.
        at_first: what else a new row says; Django calls what can be called.

    Returns:
        the row, and the names of what differed; those of the key too if it is new.
    """
    row, made = model._default_manager.get_or_create(**key, defaults={**values, **(at_first or {})})
    if made:
        return row, {*key, *values}
    changed = {name for name, value in values.items() if getattr(row, name) != value}
    for name in changed:
        setattr(row, name, values[name])
    if changed:
        row.save(update_fields=changed)
    return row, changed


def _set(relation: Any, rows: list[ResourceServer]) -> None:
    if set(relation.all()) != set(rows):
        relation.set(rows)


def _key_of(model: type[models.Model], known_by: Mapping[str, Any]) -> Any:
    return model._default_manager.filter(**known_by).values_list("pk", flat=True).first()


def _change(before: snapshots.RegistryState | None) -> changes.Change:
    return "added" if before is None else "changed"
