"""Sending requests to somebody else."""

import requests


def new_session() -> requests.Session:
    """Return a session that the environment has no say in."""
    session = requests.Session()
    # A proxy could not reach this machine's own address, and ~/.netrc would replace credentials.
    session.trust_env = False
    return session
