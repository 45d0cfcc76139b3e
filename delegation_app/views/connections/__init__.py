"""The pages on which users view and end their connections."""
