"""The demo: its people and apps, and the story that they play on a real server."""
