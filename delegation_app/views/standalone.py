"""How our views stay apart from what a site does around every view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_not_required
from django.db import connections, transaction

V = TypeVar("V", bound=Callable[..., Any])


def standalone(view: V) -> V:
    """Mark a view that authenticates its callers itself, and whose services own transactions.

    Args:
        view: the view; it gets attributes, and is not wrapped.

    Returns:
        The same view. `LoginRequiredMiddleware` leaves it alone, and so does `ATOMIC_REQUESTS`.
    """
    marked: V = login_not_required(own_transactions(view))
    return marked


def own_transactions(view: V) -> V:
    """Mark a view whose services own their transactions, whatever `ATOMIC_REQUESTS` says.

    Args:
        view: the view; it gets an attribute, and is not wrapped.

    Returns:
        The same view.
    """
    # Every alias: a router may send our tables to any of them, and the sessions to another
    for alias in connections:
        view = transaction.non_atomic_requests(alias)(view)
    return view
