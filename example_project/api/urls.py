"""The URLs of a service."""

from django.urls import URLPattern, path
from rest_framework.authentication import BaseAuthentication

from example_project.api.downstream import ClientOf
from example_project.api.services import Service
from example_project.api.views import AlertsView, MetricsView, ReportView


def of(
    service: Service,
    authentication: type[BaseAuthentication],
    client_of: ClientOf | None = None,
) -> tuple[list[URLPattern], str]:
    """Return the URLs of a service and their namespace, for `include`.

    Args:
        service: the service.
        authentication: verifies its tokens.
        client_of: see `downstream.report_of_next`.
    """
    options = {"service": service, "authentication_classes": [authentication]}
    patterns = [
        path("metrics", MetricsView.as_view(**options), name="metrics"),
        path("alerts", AlertsView.as_view(**options), name="alerts"),
        path("report", ReportView.as_view(**options, client_of=client_of), name="report"),
    ]
    return patterns, service.key
