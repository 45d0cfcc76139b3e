"""Checks of the URLs of the endpoints."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.core.checks import CheckMessage, Tags, register
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve, reverse
from django.utils import translation

from delegation_app.checks.subjects import caution
from delegation_app.conf import configured

_WELL_KNOWN: Final = "/.well-known/oauth-authorization-server"


@register(Tags.urls)
def check_well_known(**_kwargs: Any) -> list[CheckMessage]:
    """W015: the metadata is not at its well-known URL (RFC 8414 section 3.1)."""
    try:
        path = f"/{urlsplit(str(configured().get('ISSUER') or '')).path.strip('/')}".rstrip("/")
    except ValueError:
        # E002 reports it
        return []
    if not getattr(settings, "ROOT_URLCONF", None) or _is_metadata(_WELL_KNOWN + path):
        return []
    if mounted := _reversed("metadata"):
        hint = (
            'Add path("", include("delegation_app.urls_well_known")) to the root URLconf, outside '
            "i18n_patterns; below a script name, configure the web server to answer there with "
            f"{mounted}."
        )
    else:
        hint = 'The endpoints have no URLs: add path("", include("delegation_app.urls")).'
    message = f"The metadata of the issuer is not at {_WELL_KNOWN}{path}, where clients fetch it."
    return [caution(message, hint, "W015")]


@register(Tags.urls)
def check_languages(**_kwargs: Any) -> list[CheckMessage]:
    """W016: the URLs of the endpoints depend on the language of the request."""
    root = getattr(settings, "ROOT_URLCONF", None)
    if not root or not is_language_prefix_patterns_used(root)[0]:
        return []
    languages = [language for language, _name in settings.LANGUAGES[:2]]
    if len({_reversed("token", language) for language in languages}) == 1:
        return []
    hint = "Move the endpoints out of i18n_patterns. The pages select their language themselves."
    message = "The endpoints are in i18n_patterns; the metadata only has the URLs of LANGUAGE_CODE."
    return [caution(message, hint, "W016")]


def _is_metadata(path: str) -> bool:
    from delegation_app.views.oauth import MetadataView  # noqa: PLC0415 - apps not ready above

    # The web server removes the script name before Django sees the path
    if not path.startswith(get_script_prefix()):
        return False
    try:
        with translation.override(None):
            match = resolve(f"/{path.removeprefix(get_script_prefix())}")
    except Resolver404:
        return False
    return issubclass(getattr(match.func, "cls", object), MetadataView)


def _reversed(name: str, language: str | None = None) -> str:
    with translation.override(language):
        try:
            return reverse(f"delegation_app:{name}")
        except NoReverseMatch:
            return ""
