"""The published keys (RFC 7517)."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app.conf import conf
from delegation_app.services import signing_keys
from delegation_app.views.endpoint import Operation
from delegation_app.views.public_document import PublicEndpoint, document


class JwksView(PublicEndpoint):
    """The public keys of all unexpired tokens."""

    operations = {"GET": Operation("listKeys", "Return the published keys.", dict)}

    def get(self, request: Request) -> Response:
        keys = signing_keys.published()
        return document({"keys": keys}, int(conf.jwks_max_age.total_seconds()))
