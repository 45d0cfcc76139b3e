"""The device authorization endpoint (RFC 8628 section 3.1)."""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpResponse

from delegation_app import http
from delegation_app.endpoint_urls import endpoint
from delegation_app.services.device import start
from delegation_app.views.client_endpoint import ClientRequest, client_endpoint


@client_endpoint
def device_authorization(call: ClientRequest) -> HttpResponse:
    """Give a device its two codes, and the page where a person types one of them."""
    client = call.authenticated_client()
    started = start.start(client, call.parameters, call.origin)
    page = endpoint("device")
    return http.json_answer(
        {
            "device_code": started.device_code,
            "user_code": started.user_code,
            "verification_uri": page,
            # RFC 8628 section 3.3.1: spares the typing, not the question
            "verification_uri_complete": f"{page}?{urlencode({'user_code': started.user_code})}",
            "expires_in": started.expires_in,
            "interval": started.interval,
        }
    )
