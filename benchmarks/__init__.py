"""Measurements. Figures are ratios of medians of interleaved runs, on a database of their own."""
