"""The OAuth endpoints and their pages: views for a site to subclass and mount."""

from __future__ import annotations

from typing import Any

from delegation_app.views import oauth_serializers
from delegation_app.views.oauth.authorize import authorize
from delegation_app.views.oauth.device_authorization import DeviceAuthorizationView
from delegation_app.views.oauth.device_page import device_page
from delegation_app.views.oauth.introspect import IntrospectionView
from delegation_app.views.oauth.jwks import JwksView
from delegation_app.views.oauth.logo import LogoView
from delegation_app.views.oauth.metadata import MetadataView
from delegation_app.views.oauth.revoke import RevocationView
from delegation_app.views.oauth.status_list import StatusListsView, StatusListView
from delegation_app.views.oauth.token import ExchangeView, MayUseGrantType, TokenView
from delegation_app.views.page_view import PageView

__all__ = [
    "AuthorizeView",
    "DeviceAuthorizationView",
    "DeviceView",
    "ExchangeView",
    "IntrospectionView",
    "JwksView",
    "LogoView",
    "MayUseGrantType",
    "MetadataView",
    "RevocationView",
    "StatusListView",
    "StatusListsView",
    "TokenView",
]


class AuthorizeView(PageView):
    """The authorization endpoint (RFC 6749 section 3.1)."""

    operations = {"GET": oauth_serializers.AUTHORIZE}
    page: Any = staticmethod(authorize)


class DeviceView(PageView):
    """The page on which a user connects a device (RFC 8628 section 3.3)."""

    operations = {"GET": oauth_serializers.DEVICE_PAGE}
    page: Any = staticmethod(device_page)
