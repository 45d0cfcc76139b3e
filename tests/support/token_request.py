"""A token request past the endpoint: its client is authenticated, its parameters are declared."""

from delegation_app.grants import REGISTRY, TokenRequest
from delegation_app.protocol.requests.parameters import Parameters


def handle(grant_type, client, origin, **sent):
    """Hand a request to its grant. A list is a repeated parameter; None is left out."""
    values = {name: one if isinstance(one, list) else [one] for name, one in sent.items()}
    pairs = [(name, one) for name, each in values.items() for one in each if one is not None]
    return REGISTRY[grant_type].handle(TokenRequest(client, Parameters(pairs), origin))
