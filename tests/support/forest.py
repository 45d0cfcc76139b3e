"""Planting trees of delegations by the hundred thousand: rows are copied inside the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, models

# PostgreSQL and SQLite both take this, and both know md5: Django gives SQLite one.
_COUNTED = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"


def plant(like: Any, trees: int, salt: str) -> None:
    """Insert `trees` roots that say what `like` says."""
    name = f"md5('{salt}' || n.i)"
    changes = {
        "public_id": _uuid(name),
        "root_id": _uuid(name),
        "path": f"'/' || {name} || '/'",
        "terms_digest": f"md5('{salt}' || n.i) || md5('terms')",
    }
    _copy(type(like), changes, "t.id = %s", [like.pk], each=trees)


def grow(above: models.QuerySet[Any], children: int, client: Any) -> None:
    """Insert `children` delegations held by `client` under every row of `above`."""
    name = "md5(t.path || n.i)"
    changes = {
        "public_id": _uuid(name),
        "parent_id": "t.id",
        "path": f"t.path || {name} || '/'",
        "depth": "t.depth + 1",
        "ancestor_clients": "t.ancestor_clients || '/' || t.delegate_id || '/'",
        "delegate_id": str(int(client.pk)),
        "delegate_client_id": f"'{client.client_id}'",
        "grant_type": "'urn:ietf:params:oauth:grant-type:token-exchange'",
        "terms_digest": f"{name} || md5('terms')",
    }
    keys, values = above.order_by().values("id").query.sql_with_params()
    _copy(above.model, changes, f"t.id IN ({keys})", values, each=children)


def hang_tokens(like: Any, delegations: models.QuerySet[Any], each: int) -> None:
    """Insert `each` access tokens that say what `like` says on every row of `delegations`."""
    keys, values = delegations.order_by().values("id", "path").query.sql_with_params()
    changes = {"jti": "substr(md5(d.path || n.i), 1, 27)", "delegation_id": "d.id"}
    _copy(
        type(like), changes, "t.id = %s", [*values, like.pk], each=each, beside=f", ({keys}) AS d"
    )


def versions(model: type[models.Model]) -> tuple[int, int]:
    """Return what changes when any row is written: how many there are, and their versions."""
    # SQLite keeps no version of a row; the one column that a revocation could write tells
    version = "sum(xmin::text::bigint)" if _is_postgresql() else "count(revoked_at)"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), {version} FROM {model._meta.db_table}")  # noqa: S608 - ours
        count, sum_of_versions = cursor.fetchone()
    return count, int(sum_of_versions)


def _copy(
    model: type[models.Model],
    changes: Mapping[str, str],
    where: str,
    values: Sequence[Any],
    *,
    each: int,
    beside: str = "",
) -> None:
    table = model._meta.db_table
    columns = [f.column for f in model._meta.concrete_fields if not f.primary_key]
    values_of = ", ".join(changes.get(column, f"t.{column}") for column in columns)
    sql = (
        f"{_COUNTED} INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608 - names of ours
        f"SELECT {values_of} FROM {table} AS t{beside}, n WHERE {where}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [each, *values])


def _uuid(name: str) -> str:
    return f"CAST({name} AS uuid)" if _is_postgresql() else name


def _is_postgresql() -> bool:
    return connection.vendor == "postgresql"
