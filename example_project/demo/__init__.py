"""The demo: a world of users and apps, and a story that runs on real servers (README.md)."""
