"""Measurements: ratios of services on the same machine, in the same run."""
