import base64
from urllib.parse import quote_plus, urlencode

import pytest

from delegation_app.testing.pytest_plugin import *  # noqa: F403 - the fixtures of the package
from tests.support import SecureClient

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def post():
    """Post a form over HTTP as a client that a factory made."""

    def send(path, application, **fields):
        headers = {}
        if application.plain_secret is None:
            fields["client_id"] = application.client_id
        else:
            pair = f"{quote_plus(application.client_id)}:{quote_plus(application.plain_secret)}"
            headers["HTTP_AUTHORIZATION"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return SecureClient().post(path, urlencode(fields), content_type=FORM, **headers)

    return send
