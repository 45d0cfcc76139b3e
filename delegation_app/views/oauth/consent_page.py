"""The pages of the authorization endpoint."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from delegation_app.protocol.errors import OAuthError
from delegation_app.services.consent import authorize
from delegation_app.services.consent.history import ConsentQuestion
from delegation_app.services.consent.pending_requests import Kind
from delegation_app.services.consent.screen import app_name, compose
from delegation_app.views import pages
from delegation_app.views.oauth import consent_form, consent_session
from delegation_app.views.oauth.consent_form import PreviousInput
from delegation_app.views.oauth.consent_session import ScreenFingerprint


def consent_page(
    request: HttpRequest,
    question: ConsentQuestion,
    query: str,
    before: PreviousInput | None = None,
    *,
    whole: bool,
) -> HttpResponse:
    """Ask the user, and keep the question for the answer.

    Args:
        request: the request.
        question: what is asked.
        query: the client's request as it was sent, which leads back to the question.
        before: what was answered before, if the page is shown again.
        whole: whether all is asked, also what was granted before.
    """
    text = compose(question.asked)
    seen = ScreenFingerprint.of(text, question.asked, whole=whole)
    content = {"query": query, "request": question.request.to_json()}
    context = {
        "handle": consent_session.keep_question(
            request, Kind.CONSENT, content, seen, question.asked
        ),
        **consent_form.shown(text, before),
    }
    target, status = question.request.target.uri, 200 if before is None else 400
    return pages.page(request, "consent.html", context, status=status, form_leads_to=target)


def waiting_page(
    request: HttpRequest, question: ConsentQuestion, error: authorize.AwaitsConfirmation
) -> HttpResponse:
    """Say that an operator has to confirm the answer."""
    # RFC 6749 section 4.1.2.1: no redirect of its own, or the person would not read it
    context = {"app": app_name(question.asked), "back": error_address(error)}
    return pages.page(request, "consent_waiting.html", context)


def sign_in_page(
    request: HttpRequest, question: ConsentQuestion, handle: str, back: str
) -> HttpResponse:
    """Offer to sign out, where the site's login page sends signed-in users back at once.

    Args:
        request: the request.
        question: what is asked after the sign-in.
        handle: under which the request was kept.
        back: the address of the app for a user who does not want to.
    """
    context = {
        "app": app_name(question.asked),
        "person": question.sign_in.user,
        "handle": handle,
        "back": back,
    }
    # The login page may lead on to any provider of identities
    return pages.page(request, "sign_in_again.html", context, form_leads_to="https:")


def refusal(request: HttpRequest, error: OAuthError) -> HttpResponse:
    """Render an error, or redirect it to the client if that is allowed."""
    if error.redirect is None:
        return pages.error_page(request, error)
    return pages.redirect(error_address(error))


def error_address(error: OAuthError) -> str:
    """Return where an error leads at the client; empty if it may not be redirected."""
    if error.redirect is None:
        return ""
    return error.redirect.carrying(error=error.code, error_description=error.description)
