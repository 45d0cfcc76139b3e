"""Changes that wait for a second operator."""
