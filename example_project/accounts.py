"""Signing in."""

from http import HTTPStatus

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from example_project.middleware import CONTENT_SECURITY_POLICY, HEADER


class SignIn(LoginView):
    """The sign-in page."""

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        """Let the form end at a client: form-action also binds the redirects that follow."""
        response = super().dispatch(request, *args, **kwargs)
        response.headers[HEADER] = CONTENT_SECURITY_POLICY.replace("form-action 'self'; ", "")
        return response

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in."""
        response = super().form_valid(form)
        # RFC 9700 section 4.12: 303, so that the password is never posted on.
        response.status_code = HTTPStatus.SEE_OTHER
        return response
