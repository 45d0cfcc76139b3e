# Runs in a process of its own, whose settings have no database: tests/test_resource_server_alone.py
collect_ignore = ["isolated"]
