"""The URLs of the authorization server's process."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from example_project.api.same_process import mounted
from example_project.api.services import SERVICE_A, SERVICE_B, SERVICE_C
from example_project.pages import Home, SignIn

# 503 instead of 500 while the database is down, for the pages of Django and of this site too
handler500 = "delegation_app.views.unavailable.handler500"

urlpatterns = [
    path("", Home.as_view(), name="home"),
    path("admin/", admin.site.urls),
    path("accounts/login/", SignIn.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    mounted(SERVICE_A),
    mounted(SERVICE_B),
    mounted(SERVICE_C),
    path("", include("delegation_app.urls")),
]
