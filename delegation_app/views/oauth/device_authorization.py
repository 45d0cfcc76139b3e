"""The device authorization endpoint (RFC 8628 section 3.1)."""

from __future__ import annotations

from urllib.parse import urlencode

from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app.endpoint_urls import endpoint
from delegation_app.services.device import start
from delegation_app.views import oauth_serializers
from delegation_app.views.client_endpoint import ClientEndpoint


class DeviceAuthorizationView(ClientEndpoint):
    """Issue the device code and the user code, with the URL of the page for the latter."""

    operations = {"POST": oauth_serializers.AUTHORIZE_DEVICE}

    def post(self, request: Request) -> Response:
        started = start.start(self.client, self.parameters, self.context)
        page = endpoint("device")
        return Response(
            {
                "device_code": started.device_code,
                "user_code": started.user_code,
                "verification_uri": page,
                # RFC 8628 section 3.3.1: replaces typing, not the confirmation
                "verification_uri_complete": (
                    f"{page}?{urlencode({'user_code': started.user_code})}"
                ),
                "expires_in": started.expires_in,
                "interval": started.interval,
            }
        )
