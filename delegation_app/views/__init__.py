"""The HTTP layer: the only package that reads requests and writes responses."""
