"""A resource server: a Django app without models, which needs no table of the issuer."""
