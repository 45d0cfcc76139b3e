"""How a service refuses because of the next one. What it refuses itself says the library."""

from http import HTTPStatus
from typing import Any

from rest_framework.exceptions import APIException


class FurtherOn(APIException):
    """A service did not get from the next one what it needed for its own answer.

    Args:
        body: which hop it was and why; the same whoever passes it on.
    """

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__()
        # Set here, since the framework would make text of each value
        detail: Any = {"error": self.default_code, **body}
        self.detail = detail


class RefusedFurtherOn(FurtherOn):
    """The authority does not reach that far: whoever asked can't have this."""

    status_code = HTTPStatus.FORBIDDEN
    default_code = "refused_further_on"


class FailedFurtherOn(FurtherOn):
    """Something is broken there, or between there and here; the caller did nothing wrong."""

    status_code = HTTPStatus.BAD_GATEWAY
    default_code = "failed_further_on"
