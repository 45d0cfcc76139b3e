"""What of a client does not work, said on its page before its first request is refused."""

import pytest

from delegation_app import toolkit
from delegation_app.models import ClientPolicy, ResourceServer
from delegation_app.protocol import names
from delegation_app.services.clients import lookup, setup_problems
from delegation_app.services.reporting import explanation
from tests.admin.conftest import page, text_of
from tests.admin.test_clients import filled_in
from tests.support.answers import refused
from tests.support.world import SERVICE_A, SERVICE_B, redirected

HEADING = "Configuration problems"


def change_page(row):
    return page("application", "change", row.pk, app="oauth2_provider")


def no_policy(world):
    ClientPolicy.objects.filter(application=world.cron.row).delete()


def no_audience(world):
    world.cron.policy.audiences.clear()


def inactive_audience(_world):
    ResourceServer.objects.filter(identifier=SERVICE_A).update(active=False)


def no_default(world):
    world.cron.policy.audiences.add(world.service_b)


def default_elsewhere(world):
    world.cron.change(default_audience=world.service_b)


NAME_ONE = "The request must name a resource server in the parameter resource."
NO_SERVER = "No resource server is configured for this client."
NO_AUDIENCE = ("The policy has no active audience", "policy has no active audience", NO_SERVER)
LACKS = [
    (no_policy, "The client has no policy", "the client has no policy", NO_SERVER),
    (no_audience, *NO_AUDIENCE),
    (inactive_audience, *NO_AUDIENCE),
    (no_default, "several audiences and no default", "several audiences and no default", NAME_ONE),
    (
        default_elsewhere,
        "The default audience is inactive",
        "not among its active audiences",
        NAME_ONE,
    ),
]


@pytest.mark.parametrize("lack", LACKS, ids=lambda lack: lack[0].__name__)
def test_client_when_no_resource_can_be_told_then_page_why_and_log_say_what_is_missing(
    story, operator, caplog, lack
):
    change, sentence, detail, text = lack
    change(story.world)
    with caplog.at_level("INFO", logger="delegation_app"):
        answer = story.client_credentials()
    refused(answer, "invalid_target")
    # Either what the client can do about it, or that an operator has to
    assert answer.json()["error_description"] == text
    assert detail in caplog.text
    html = text_of(operator.get(change_page(story.world.cron.row)))
    assert HEADING in html
    assert sentence in html
    found = explanation.explain(answer["X-Request-Id"])
    assert found.conclusion.startswith("The request was refused with invalid_target: no resource")
    assert detail in found.conclusion
    assert [sentence in step.text for step in found.steps] == [True]


@pytest.mark.parametrize("change", [no_policy, no_audience])
def test_client_when_it_has_no_resource_server_then_naming_one_is_not_the_way(story, world, change):
    change(world)
    answer = story.client_credentials(resource=SERVICE_A)
    refused(answer, "invalid_target")
    assert answer.json()["error_description"] == NO_SERVER
    world.service_a_client.policy.audiences.clear()
    for name in ({"audience": SERVICE_B}, {"resource": SERVICE_B}):
        answer = story.exchange(story.tokens()["access_token"], world.service_a_client, **name)
        assert answer.json()["error_description"] == NO_SERVER


def test_client_when_no_token_that_it_may_exchange_reaches_it_then_page_and_why_say_so(
    story, world, operator
):
    world.service_a.introspectors.clear()
    answer = story.exchange(story.tokens()["access_token"])
    assert answer.json()["error_description"] == "The subject token is not valid."
    found = explanation.explain(answer["X-Request-Id"])
    assert f"service-a is not among the introspecting clients of {SERVICE_A}" in found.conclusion
    assert "Add the client on the page of its resource server." in found.steps[0].text
    row = world.service_a_client.row
    assert "not an introspecting client" in text_of(operator.get(change_page(row)))
    # One that is named is given tokens, and so is one that people connect
    world.web.change(may_act="service-a")
    assert setup_problems.of_client(lookup.find("service-a")) == []
    world.web.change(may_act="")
    world.service_a_client.change(may_exchange_refresh_tokens=True)
    assert setup_problems.of_client(lookup.find("service-a")) == []


def test_resource_server_when_it_is_edited_then_the_field_says_that_exchange_needs_it(
    world, operator
):
    html = text_of(operator.get(page("resourceserver", "change", world.service_a.pk)))
    assert "exchange the tokens sent to it" in html


def test_client_when_it_is_new_then_its_page_says_what_it_lacks(operator, db):
    row = toolkit.application_model().objects.create(
        name="New", client_type="confidential", authorization_grant_type="client-credentials"
    )
    assert "The client has no policy, and DEFAULT_AUDIENCE" in text_of(
        operator.get(change_page(row))
    )


def test_client_when_a_resource_is_not_its_own_then_the_log_names_both(story, caplog):
    with caplog.at_level("INFO", logger="delegation_app"):
        refused(story.client_credentials(resource="https://x.example.com"), "invalid_target")
    assert f"https://x.example.com is not among its active audiences: {SERVICE_A}" in caplog.text


def test_client_when_all_is_well_then_its_page_says_nothing(world, operator):
    for app in (world.web, world.cron, world.tv, world.operator_tool):
        assert setup_problems.of_client(lookup.find(app.client_id)) == []
        assert HEADING not in text_of(operator.get(change_page(app.row)))


def test_client_when_no_audience_knows_its_scopes_then_its_page_says_so(world, operator):
    ResourceServer.objects.filter(identifier=SERVICE_A).update(scopes="delete:alerts")
    assert "None of its scopes is accepted" in text_of(operator.get(change_page(world.cron.row)))


def test_client_when_it_is_public_and_trusted_then_its_page_says_that_people_are_asked(
    world, operator
):
    toolkit.application_model().objects.update(skip_authorization=True)
    assert "users are prompted" in text_of(operator.get(change_page(world.mobile.row)))
    assert HEADING not in text_of(operator.get(change_page(world.web.row)))


def test_why_when_the_client_is_gone_or_unknown_then_it_says_so(story, world):
    answer = story.post("/oauth/token", {"client_id": "nobody", "client_secret": "x" * 20})
    found = explanation.explain(answer["X-Request-Id"])
    assert [step.text for step in found.steps] == ["The client nobody does not exist."]


def test_why_when_a_caller_names_its_own_request_then_only_ours_is_known(story):
    """X-Request-Id of a stranger must not stand for another request."""
    first = story.redeem("wrong")
    ours = first["X-Request-Id"]
    again = story.post(
        "/oauth/token",
        {"grant_type": "client_credentials"},
        story.world.cron,
        HTTP_X_REQUEST_ID=ours,
    )
    assert again.status_code == 200
    assert again["X-Request-Id"] != ours
    found = explanation.explain(ours)
    assert "invalid_grant" in found.conclusion
    assert len(found.events) == 1


# Redirect URIs


@pytest.mark.parametrize(
    "bad",
    [
        ("https://a.example.com/cb?code=x", "parameter of an authorization response"),
        ("https://a.example.com/cb?a=1&state", "parameter of an authorization response"),
        ("http://10.0.0.5/cb", "Plain http is only allowed for this machine"),
        ("http://intranet/cb", "Plain http is only allowed for this machine"),
        ("myapp:/cb", "reversed domain name with a dot"),
    ],
)
@pytest.mark.parametrize("is_new", [False, True])
def test_redirect_uri_when_it_would_never_be_accepted_then_the_form_says_why(
    world, operator, settings, bad, is_new
):
    uri, reason = bad
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http", "myapp"],
    }
    good = "https://a.example.com/good"
    row = world.web.row
    add = page("application", "add", app="oauth2_provider")
    url = add if is_new else change_page(row)
    data = filled_in(operator, url) | {
        "name": "x",
        "client_type": "confidential",
        "authorization_grant_type": "authorization-code",
        "redirect_uris": f"{good} {uri}",
    }
    answer = operator.post(url, data)
    assert answer.status_code == 200
    [error] = answer.context["adminform"].form.errors["redirect_uris"]
    assert error.startswith(f"{uri}: ")
    assert reason in error
    row.refresh_from_db()
    assert uri not in row.redirect_uris
    assert operator.post(url, data | {"redirect_uris": good}).status_code == 302


def test_redirect_uri_when_it_is_stored_already_then_it_may_stay_and_the_page_says_so(
    story, operator
):
    row, uri = story.world.web.row, "http://10.0.0.5/cb"
    toolkit.application_model().objects.filter(pk=row.pk).update(
        redirect_uris=f"https://web.example.com/callback {uri}"
    )
    html = text_of(operator.get(change_page(row)))
    assert f"The redirect URI {uri} is unusable. Plain http" in html
    data = filled_in(operator, change_page(row))
    assert operator.post(change_page(row), data | {"name": "Web 2"}).status_code == 302
    assert story.authorize(redirect_uri=uri).status_code == 400


def test_redirect_uri_when_it_has_markup_then_the_page_escapes_it(world, operator):
    uri = "http://10.0.0.5/<script>alert(1)</script>"
    toolkit.application_model().objects.filter(pk=world.web.row.pk).update(redirect_uris=uri)
    html = text_of(operator.get(change_page(world.web.row)))
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html


# Tolerance


def test_tolerance_when_ticked_on_the_page_then_the_client_has_it(story, operator):
    url = change_page(story.world.web.row)
    data = filled_in(operator, url) | {"delegation_policy-0-drops_unavailable_scopes": "on"}
    assert operator.post(url, data).status_code == 302
    assert story.world.web.policy.drops_unavailable_scopes
    assert "code" in redirected(story.answer(story.authorize(scope="openid read:metrics")))
    assert names.AUTHORIZATION_CODE in story.world.web.policy.grants
