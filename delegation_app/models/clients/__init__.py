"""Tables around the registry of clients and resource servers."""
