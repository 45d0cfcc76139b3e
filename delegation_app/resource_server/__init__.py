"""A resource server: a Django app without models, which verifies tokens without the tables of this app."""
