"""Where things are."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from example_project.accounts import SignIn
from example_project.api.views import AlertsView, MetricsView
from example_project.home import Home

urlpatterns = [
    path("", Home.as_view(), name="home"),
    path("admin/", admin.site.urls),
    path("accounts/login/", SignIn.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("api/metrics", MetricsView.as_view(), name="metrics"),
    path("api/alerts", AlertsView.as_view(), name="alerts"),
    path("", include("delegation_app.urls")),
]
