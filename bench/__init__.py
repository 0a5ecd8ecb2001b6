"""Benchmarks: one JSON line each, ratios side by side in one run. `make bench`."""
