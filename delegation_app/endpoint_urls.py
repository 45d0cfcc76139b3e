"""The public URLs of the endpoints, derived from the issuer and never from a request."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse
from django.utils import translation

from delegation_app.conf import conf


def endpoint(name: str, *arguments: object) -> str:
    """Return the absolute URL of an endpoint, the same in every language: tokens contain it.

    Args:
        name: of its URL pattern, without the namespace.
        arguments: of its URL pattern.
    """
    with translation.override(_language()):
        return conf.issuer_origin + reverse(f"delegation_app:{name}", args=arguments)


def _language() -> str:
    try:
        # Django serves en-us as en, and has no URLs below /en-us/
        return translation.get_supported_language_variant(settings.LANGUAGE_CODE)
    except LookupError:
        return settings.LANGUAGE_CODE
