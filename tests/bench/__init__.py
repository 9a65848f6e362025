"""Measurements, as ratios to a baseline in the same run. `make bench` runs them; no test depends on a time."""
