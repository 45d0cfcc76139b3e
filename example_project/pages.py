"""The pages of the site: home and sign-in."""

from http import HTTPStatus
from typing import Any

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

from delegation_app.conf import conf
from example_project.middleware import CONTENT_SECURITY_POLICY, HEADER


@method_decorator(never_cache, name="dispatch")
class Home(TemplateView):
    """Links to every part of the site."""

    template_name = "example_project/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the issuer."""
        return super().get_context_data(issuer=conf.issuer, **kwargs)


class SignIn(LoginView):
    """The sign-in page."""

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Drop form-action: it would also block the redirect to the client after sign-in."""
        response = super().dispatch(request, *args, **kwargs)
        response.headers[HEADER] = CONTENT_SECURITY_POLICY.replace("form-action 'self'; ", "")
        return response

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in."""
        response = super().form_valid(form)
        # RFC 9700 section 4.12: 303, so that the password is never posted to the next page.
        response.status_code = HTTPStatus.SEE_OTHER
        return response
