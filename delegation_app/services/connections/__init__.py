"""What a user has connected, as the user sees it."""
