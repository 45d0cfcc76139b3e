"""The example project with a login page that sends signed-in users back at once."""

from django.contrib.auth.views import LoginView
from django.urls import include, path

urlpatterns = [
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("", include("example_project.urls")),
]
