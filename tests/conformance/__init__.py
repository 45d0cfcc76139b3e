"""Which protocol requirements the suite shows."""
