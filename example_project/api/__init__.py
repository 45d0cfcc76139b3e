"""A protected API: what a service has to do to let people's apps in, and nobody else."""
