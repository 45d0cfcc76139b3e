"""Reports: the audit trail, explanations, and figures for the dashboard."""
