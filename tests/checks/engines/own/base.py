"""PostgreSQL under another name, as monitoring packages have it."""


class DatabaseWrapper:
    vendor = "postgresql"
