"""Token status lists: what they mark, and how they are published."""
