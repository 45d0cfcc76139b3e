"""Cookies that no database can look up: the site answers as if they had not been sent."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from delegation_app.views.cookies import StorableCookiesMiddleware
from tests.support import SecureClient, site_map
from tests.support.answers import each

COOKIES = (
    'sessionid="a\\000bcdefgh0123456789012345678901"',
    'sessionid="\\000"; csrftoken=x',
    'csrftoken="\\000"',
    'delegation_browser="\\000"',
    'messages="\\000"',
)


@pytest.fixture
def addresses(world):
    """One address of each line of the permission table, admin and sign-in pages among them."""
    town = site_map.Town(world)
    return sorted({line.name: address for line, address in town.addresses()}.values())


@pytest.mark.parametrize("cookie", COOKIES)
def test_cookie_when_it_cannot_be_stored_then_it_is_as_if_absent(addresses, cookie):
    for address in addresses:
        with each(address), site_map.undone():
            client = SecureClient(raise_request_exception=False)
            answers = [client.get(address, HTTP_COOKIE=cookie), SecureClient().get(address)]
            assert len({site_map.told(answer) for answer in answers}) == 1


def test_middleware_when_a_cookie_has_a_nul_then_only_that_one_is_dropped():
    request = RequestFactory().get(
        "/", HTTP_COOKIE='sessionid="a\\000b"; csrftoken=x; other="\\000"'
    )
    StorableCookiesMiddleware(lambda _request: HttpResponse()).process_request(request)
    assert request.COOKIES == {"csrftoken": "x"}
