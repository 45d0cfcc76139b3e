"""Views that are independent of the site's login middleware and request transactions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_not_required
from django.db import connections, transaction

V = TypeVar("V", bound=Callable[..., Any])


def standalone(view: V) -> V:
    """Mark a view that authenticates its callers itself, and whose services own transactions.

    Args:
        view: the view; only its attributes change.

    Returns:
        The same view, exempt from `LoginRequiredMiddleware` and `ATOMIC_REQUESTS`.
    """
    marked: V = login_not_required(own_transactions(view))
    return marked


def own_transactions(view: V) -> V:
    """Exempt a view from `ATOMIC_REQUESTS`, because its services own their transactions.

    Args:
        view: the view; only an attribute changes.

    Returns:
        The same view.
    """
    # Every alias: a router may place the tables of this app and the sessions in different ones
    for alias in connections:
        view = transaction.non_atomic_requests(alias)(view)
    return view
