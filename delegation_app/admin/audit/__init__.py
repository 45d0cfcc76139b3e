"""The audit trail in the admin."""
