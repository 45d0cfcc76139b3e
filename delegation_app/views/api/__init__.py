"""The JSON APIs of users and operators, for sessions only, never for bearer tokens."""
