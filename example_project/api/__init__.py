"""A protected API: three resource servers that call each other on behalf of users."""
