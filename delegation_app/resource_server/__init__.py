"""A resource server: a Django app without models, which verifies tokens without our tables."""
