"""Where things are in the process of the authorization server."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from example_project.accounts import SignIn
from example_project.api.neighbours import mounted
from example_project.api.services import SERVICE_A, SERVICE_B, SERVICE_C
from example_project.home import Home

# Pages of Django and of this site say so, too, while the database is away
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
