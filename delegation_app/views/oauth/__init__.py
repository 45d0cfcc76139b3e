"""The OAuth endpoints and the pages that belong to them."""
