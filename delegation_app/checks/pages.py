"""Checks of the pages that users need."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Tags, register
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve

from delegation_app.checks.subjects import caution


@register(Tags.urls)
def check_login_url(**_kwargs: Any) -> list[CheckMessage]:
    """W030: there is no login page at LOGIN_URL."""
    if not getattr(settings, "ROOT_URLCONF", None) or _is_a_page(str(settings.LOGIN_URL)):
        return []
    message = f"LOGIN_URL {str(settings.LOGIN_URL)!r} is not a page of this site."
    hint = "Add a login page there, or change LOGIN_URL. Users are redirected to it to sign in."
    return [caution(message, hint, "W030")]


def _is_a_page(login_url: str) -> bool:
    try:
        parts = urlsplit(resolve_url(login_url))
        if not parts.netloc:
            resolve("/" + parts.path.removeprefix(get_script_prefix()).removeprefix("/"))
    except (NoReverseMatch, Resolver404):
        return False
    return True
