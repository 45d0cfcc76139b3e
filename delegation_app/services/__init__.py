"""Every change of state: one function with its checks, its audit event and its transaction."""
