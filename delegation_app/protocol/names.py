"""Names that the specifications fix, written once."""

from __future__ import annotations

from typing import Final

AUTHORIZATION_CODE: Final = "authorization_code"
CLIENT_CREDENTIALS: Final = "client_credentials"
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - the name of a grant type, not a secret
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a grant type

# RFC 8693 section 3
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a token type
REFRESH_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:refresh_token"  # noqa: S105 - a token type
JWT: Final = "urn:ietf:params:oauth:token-type:jwt"

# RFC 9068 section 2.1
ACCESS_TOKEN_TYP: Final = "at+jwt"  # noqa: S105 - a media type

BASIC: Final = "client_secret_basic"
POST: Final = "client_secret_post"
NONE: Final = "none"

# draft-ietf-oauth-status-list-20 section 5.1
STATUS_LIST_TYP: Final = "statuslist+jwt"
