"""A small site around delegation_app: authorization server, sign-in page, protected API."""
