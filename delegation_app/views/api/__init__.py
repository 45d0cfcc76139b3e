"""The JSON interfaces for people and operators: sessions only, and never a bearer token."""
