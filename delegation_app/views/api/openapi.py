"""The schema of both interfaces: the one module that imports drf-spectacular, the extra [openapi]."""
