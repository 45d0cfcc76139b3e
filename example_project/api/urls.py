"""Where a service has what."""

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
        service: whose they are.
        authentication: how it knows who asks.
        client_of: see `downstream.report_of_next`.
    """
    given = {"service": service, "authentication_classes": [authentication]}
    patterns = [
        path("metrics", MetricsView.as_view(**given), name="metrics"),
        path("alerts", AlertsView.as_view(**given), name="alerts"),
        path("report", ReportView.as_view(**given, client_of=client_of), name="report"),
    ]
    return patterns, service.key
