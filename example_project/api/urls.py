"""Where a service has what."""

from django.urls import URLPattern, path

from example_project.api.services import Service
from example_project.api.views import AlertsView, MetricsView, ReportView


def of(service: Service) -> tuple[list[URLPattern], str]:
    """Return the URLs of a service and their namespace, for `include`."""
    patterns = [
        path("metrics", MetricsView.as_view(service=service), name="metrics"),
        path("alerts", AlertsView.as_view(service=service), name="alerts"),
        path("report", ReportView.as_view(service=service), name="report"),
    ]
    return patterns, service.key
