"""HTTP: requests are read and answers written here, and nowhere else."""
