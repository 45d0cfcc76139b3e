"""Reading requests: parameters, credentials, addresses and tokens."""
