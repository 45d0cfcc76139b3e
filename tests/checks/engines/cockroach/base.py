"""A database that speaks like PostgreSQL and is none."""


class DatabaseWrapper:
    vendor = "cockroachdb"
