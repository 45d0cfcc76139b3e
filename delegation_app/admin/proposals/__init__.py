"""Changes that are pending approval by a second operator."""
