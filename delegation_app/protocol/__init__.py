"""Values and rules of the protocols. Nothing here knows Django, HTTP or a table."""
