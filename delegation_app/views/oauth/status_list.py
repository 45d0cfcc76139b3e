"""Token status lists over HTTP (draft-ietf-oauth-status-list-20 sections 8 and 9)."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from rest_framework.request import Request
from rest_framework.response import Response

from delegation_app import clock, http
from delegation_app.conf import conf
from delegation_app.protocol.errors import InvalidRequest
from delegation_app.services.status_lists import publication as lists
from delegation_app.services.status_lists.cache import Published
from delegation_app.views.endpoint import Operation
from delegation_app.views.public_document import PublicEndpoint, document

_MEDIA_TYPE: Final = "application/statuslist+jwt"


class StatusListsView(PublicEndpoint):
    """The addresses of all lists that an unexpired token may refer to (section 9.3)."""

    operations = {
        "GET": Operation("listStatusLists", "Return the addresses of the status lists.", dict)
    }

    def get(self, request: Request) -> Response:
        return document({"status_lists": lists.addresses()}, conf.status_list_ttl)


class StatusListView(PublicEndpoint):
    """A signed list."""

    operations = {
        "GET": Operation(
            "getStatusList",
            "Return a signed list of which tokens are invalid.",
            str,
            also=(404, 406, 410, 501),
            media_type=_MEDIA_TYPE,
        )
    }

    def get(self, request: Request, name: str) -> HttpResponse:
        # Section 8.4: historical resolution is optional
        if "time" in self.sent.GET:
            return _refused("Historical status is not supported.", 501)
        if not _takes(self.sent):
            response = _refused(f"Only {_MEDIA_TYPE} is offered.", 406)
            patch_vary_headers(response, ["Accept"])
            return response
        try:
            return _list(self.sent, lists.published(name))
        except lists.UnknownList:
            return _refused("There is no such list.", 404)
        except lists.ExpiredList:
            return _refused("All tokens of this list have expired.", 410)


def _list(request: HttpRequest, found: Published) -> HttpResponse:
    zipped = _takes_gzip(request.META.get("HTTP_ACCEPT_ENCODING", ""))
    body = found.gzipped if zipped else found.token
    response = HttpResponse(body, content_type=_MEDIA_TYPE)
    if zipped:
        response["Content-Encoding"] = "gzip"
    # RFC 9110 section 8.8.3: each representation has its own tag
    response["ETag"] = f'"{found.tag}{"-gzip" if zipped else ""}"'
    left = int(found.expires_at - clock.now().timestamp())
    fresh = max(0, min(conf.status_list_cache_seconds, conf.status_list_ttl, left))
    response["Cache-Control"] = f"public, max-age={fresh}"
    # RFC 9111 section 5.1: seconds since the list was last known to be current. Verifiers count
    # them towards their limit of staleness.
    if behind := lists.seconds_behind(found):
        response["Age"] = str(behind)
    patch_vary_headers(response, ["Accept", "Accept-Encoding"])
    return response


def _takes(request: HttpRequest) -> bool:
    ranges = [media for media in request.accepted_types if media.match(_MEDIA_TYPE)]
    # RFC 9110 section 12.5.1: the most specific range decides, and q=0 is "not acceptable"
    return bool(max(ranges, key=lambda media: media.specificity).quality) if ranges else False


def _takes_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding accepts gzip (RFC 9110 section 12.5.3)."""
    takes: dict[str, bool] = {}
    for part in header.lower().split(","):
        coding, *parameters = (piece.strip() for piece in part.split(";"))
        takes[coding] = not any(_is_zero(parameter) for parameter in parameters)
    return takes.get("gzip", takes.get("x-gzip", takes.get("*", False)))


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip().strip("0.")


def _refused(description: str, status: int) -> Response:
    response = Response(InvalidRequest(description).payload(), status)
    http.never_stored(response)
    return response
